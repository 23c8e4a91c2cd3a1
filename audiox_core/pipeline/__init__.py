"""From a request to a soundtrack: each step once, for every host."""

from .cache import FeatureCache
from .decode import decode, finish
from .encode import (
    Features,
    Strengths,
    assemble,
    encode_audio,
    encode_image,
    encode_text,
    encode_video,
)
from .pipeline import Pipeline, generate
from .request import Request
from .sampling import StartLatent, sample
from .soundtrack import Soundtrack

__all__ = [
    "FeatureCache",
    "Features",
    "Pipeline",
    "Request",
    "Soundtrack",
    "StartLatent",
    "Strengths",
    "assemble",
    "decode",
    "encode_audio",
    "encode_image",
    "encode_text",
    "encode_video",
    "finish",
    "generate",
    "sample",
]
