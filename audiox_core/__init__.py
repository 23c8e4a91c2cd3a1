"""AudioX in plain PyTorch: sound effects and music from text, video, pictures and audio.

The road: media files -> features -> conditioning -> latents -> audio -> soundtrack.
"""

from .checkpoint import Checkpoint, load_checkpoint
from .conditioners.assemble import Conditioning, assemble
from .conditioners.audio import encode_audio
from .conditioners.text import encode_text
from .conditioners.video import encode_image, encode_video
from .errors import AudioXError
from .pipeline import Pipeline, Request, Soundtrack, decode, generate, sample

__all__ = [
    "AudioXError",
    "Checkpoint",
    "Conditioning",
    "Pipeline",
    "Request",
    "Soundtrack",
    "assemble",
    "decode",
    "encode_audio",
    "encode_image",
    "encode_text",
    "encode_video",
    "generate",
    "load_checkpoint",
    "sample",
]
