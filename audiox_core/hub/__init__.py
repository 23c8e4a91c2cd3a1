"""The released models: where they are on the hub, and how to download them."""

from .download import Job, fetch, plan
from .models import LICENCE, MODELS, HubError, model_of

__all__ = ["LICENCE", "MODELS", "HubError", "Job", "fetch", "model_of", "plan"]
