"""What renders jobs: in this process, or as an actor of Ray. Models stay loaded between them."""

import logging
import os
import socket
import time
from collections.abc import Hashable
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from ..errors import AudioXError, is_out_of_memory, one_line
from ..media.files import check_outputs
from ..pipeline.feature_cache import FeatureCache
from ..pipeline.model_options import ModelOptions
from ..pipeline.outputs import output_paths
from ..pipeline.pipeline import Pipeline
from ..pipeline.read_ahead import read_ahead
from ..pipeline.record import PATHS
from ..pipeline.render import Model, render
from ..pipeline.sources import Sources
from .identity import Identity
from .jobs import Job
from .results import Result

logger = logging.getLogger(__name__)

FEATURES = 256 << 20  # bytes of features of pictures that are kept


@dataclass(frozen=True)
class Prepared:
    """A job whose inputs have been read, or the error of reading them."""

    job: Job
    key: str
    sources: Sources | None = None
    error: Exception | None = None


class Worker:
    """Renders jobs with one model at a time."""

    def __init__(self, identity: Identity) -> None:
        """`identity`: makes the keys of jobs."""
        self.identity = identity
        self._models: dict[ModelOptions, Model] = {}
        self._loaded: tuple[ModelOptions, Pipeline, Hashable] | None = None

    def model(self, options: ModelOptions) -> Model:
        """The opened files of a model. Raises WeightsError."""
        if options not in self._models:
            options.check()
            self._models[options] = Model.open(options)
        return self._models[options]

    def pipeline(self, options: ModelOptions) -> Pipeline:
        """The loaded model; another one is freed first."""
        if self._loaded is None or self._loaded[0] != options:
            self._loaded = None
            pipeline = self.model(options).load(cache=FeatureCache(FEATURES))
            self._loaded = options, pipeline, pipeline.encoders_key()
        return self._loaded[1]

    def prepare(self, job: Job) -> Prepared:
        """Read the inputs of a job; it may run beside `render`. An error is part of the result."""
        key = self.identity.key(job)
        try:
            return Prepared(job, key, self._sources(job))
        except Exception as error:
            return Prepared(job, key, error=error)

    def _sources(self, job: Job) -> Sources:
        model, request = self.model(job.model), job.request
        sources = model.sources(request, job.output)
        if sources.clip is None or self._has_features(job, sources):
            return sources
        config, seconds = model.file.config, sources.seconds
        clip = read_ahead(sources.clip, config, request.start, seconds)
        return replace(sources, clip=clip)

    def _has_features(self, job: Job, sources: Sources) -> bool:
        loaded = self._loaded
        if loaded is None or loaded[0] != job.model:
            return False
        _, pipeline, encoders = loaded
        return pipeline.has_features(job.request, sources.seconds, encoders)

    def render(self, prepared: Prepared) -> Result:
        """Render a job; an error is a result, too. An input that changed is read again."""
        began, job = time.perf_counter(), prepared.job
        if self.identity.key(job) != prepared.key:
            prepared = self.prepare(job)
        paths = output_paths(job.output, job.request.takes)
        where = f"{socket.gethostname()}:{os.getpid()}"
        result = Result(prepared.key, job.number, "failed", str(job.output), worker=where)
        try:
            if prepared.error is not None:
                raise prepared.error
            job.output.parent.mkdir(parents=True, exist_ok=True)
            check_outputs(paths, (getattr(job.request, name) for name in PATHS))
            pipeline = self.pipeline(job.model)
            made = render(pipeline, job.request, job.output, _given(prepared.sources))
        except Exception as error:
            return replace(result, error=_one_line(error), elapsed_seconds=_since(began))
        return replace(
            result,
            status="done",
            seconds=round(made["seconds"] * job.request.takes, 3),
            elapsed_seconds=_since(began),
            bytes=sum(Path(path).stat().st_size for path in made["outputs"]),
            seed=job.request.seed,
        )


def _given(sources: Sources | None) -> Sources:
    assert sources is not None  # else there is an error
    return sources


def _since(began: float) -> float:
    return round(time.perf_counter() - began, 3)


def _one_line(error: Exception) -> str:
    """What a user can do about an error."""
    if isinstance(error, AudioXError):
        return str(error)
    if type(error).__name__ == "OutOfMemoryError" or is_out_of_memory(error):
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        return "There is not enough memory for this item: use fewer seconds, or dtype float16."
    if not isinstance(error, OSError):
        logger.debug("an item failed", exc_info=error)
    return one_line(f"{type(error).__name__}: {error}")
