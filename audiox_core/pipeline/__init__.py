"""From a request to a soundtrack."""

from .request import Request
from .road import Pipeline, decode, generate, sample
from .soundtrack import Soundtrack

__all__ = ["Pipeline", "Request", "Soundtrack", "decode", "generate", "sample"]
