"""The suffixes of the files that can be written.

Nothing here imports FFmpeg or PyTorch: the command line lists them without waiting.
"""

AUDIO_SUFFIXES = (".wav", ".flac")
# of copies of a video -> FFmpeg's name of the container
FORMATS = {".mp4": "mp4", ".mov": "mov", ".m4v": "mp4", ".mkv": "matroska", ".webm": "webm"}
VIDEO_SUFFIXES = tuple(FORMATS)
SUFFIXES = (*AUDIO_SUFFIXES, *VIDEO_SUFFIXES)
