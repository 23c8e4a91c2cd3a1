"""The names of the files that a request is rendered to.

Nothing here imports PyTorch or FFmpeg: a wrong output is refused without waiting for them.
"""

from pathlib import Path

from ..errors import SettingsError
from ..media.formats import AUDIO_SUFFIXES, SUFFIXES, VIDEO_SUFFIXES
from .request import Request


def output_paths(output: Path, takes: int) -> list[Path]:
    """The file of each take: the output itself, or with a number if there are several."""
    if takes == 1:
        return [output]
    return [output.with_name(f"{output.stem}-{k}{output.suffix}") for k in range(1, takes + 1)]


def check_suffix(output: Path, request: Request) -> None:
    """Raise SettingsError if the suffix of an output does not fit the inputs of a request."""
    suffix = output.suffix.lower()
    if suffix not in SUFFIXES:
        names = " ".join(SUFFIXES)
        raise SettingsError(f"{output} has an unsupported suffix: use one of {names}.")
    if suffix in VIDEO_SUFFIXES and request.video is None:
        raise SettingsError(f"{output.name} is a video file: pass the video for it with --video.")
    if suffix in AUDIO_SUFFIXES and request.keep_original is not None:
        raise SettingsError(
            f"{output.name} is an audio file: --keep-original and --duck mix with the audio of a "
            "video. Choose a video as --output, or leave them out."
        )
