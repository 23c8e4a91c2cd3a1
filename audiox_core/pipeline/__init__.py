"""From a request to a soundtrack."""

from .cache import FeatureCache
from .request import Request
from .road import Pipeline, decode, generate, sample
from .soundtrack import Soundtrack

__all__ = ["FeatureCache", "Pipeline", "Request", "Soundtrack", "decode", "generate", "sample"]
