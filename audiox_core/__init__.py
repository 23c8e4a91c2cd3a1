"""AudioX in plain PyTorch: sound effects and music from text, video, images and audio.

The pipeline: media -> features -> conditioning -> latent -> audio -> soundtrack. Each step is a
function whose first argument is a loaded checkpoint; `Pipeline` runs them all:

    pipeline = Pipeline(load_checkpoint())
    soundtrack = pipeline.generate(Request(prompt="city traffic", video="bikes.mp4", seed=7))
    soundtrack.save("bikes-with-sound.mp4")

Times are seconds. Every error that a user can mend is an `AudioXError`.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .version import __version__

if TYPE_CHECKING:
    from .checkpoint.checkpoint_file import (
        Checkpoint,
        CheckpointFile,
        load_checkpoint,
        open_checkpoint,
    )
    from .conditioners.assemble import Conditioning
    from .config import SamplingConfig
    from .errors import AudioXError
    from .media.audio import read_audio
    from .media.clip import Clip, clip_from_file, clip_from_images
    from .media.ducking import Ducking
    from .media.layers import Layer, Mix, mix_layers
    from .media.pixels import read_image
    from .media.sound import Sound
    from .pipeline.decode import decode, finish
    from .pipeline.encode import (
        Features,
        Strengths,
        assemble,
        encode_audio,
        encode_image,
        encode_text,
        encode_video,
    )
    from .pipeline.feature_cache import FeatureCache
    from .pipeline.init_audio import InitAudio
    from .pipeline.pipeline import Pipeline, generate
    from .pipeline.request import Request
    from .pipeline.sampling import StartLatent, empty_latent, sample
    from .pipeline.soundtrack import Soundtrack

__all__ = [
    "AudioXError",
    "Checkpoint",
    "CheckpointFile",
    "Clip",
    "Conditioning",
    "Ducking",
    "FeatureCache",
    "Features",
    "InitAudio",
    "Layer",
    "Mix",
    "Pipeline",
    "Request",
    "SamplingConfig",
    "Sound",
    "Soundtrack",
    "StartLatent",
    "Strengths",
    "__version__",
    "assemble",
    "clip_from_file",
    "clip_from_images",
    "decode",
    "empty_latent",
    "encode_audio",
    "encode_image",
    "encode_text",
    "encode_video",
    "finish",
    "generate",
    "load_checkpoint",
    "mix_layers",
    "open_checkpoint",
    "read_audio",
    "read_image",
    "sample",
]

# the lowest first: each is imported by the next ones
_HOMES = (
    "errors",
    "media.sound",
    "media.pixels",
    "media.clip",
    "media.layers",
    "conditioners.assemble",
    "checkpoint.checkpoint_file",
    "pipeline.pipeline",
)


def __getattr__(name: str) -> Any:
    """Import a public name at its first use, so that importing the package takes no time."""
    if name in __all__:
        for home in _HOMES:
            if hasattr(module := import_module(f".{home}", __name__), name):
                return getattr(module, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """The public names."""
    return __all__
