"""The same jobs on Ray Data: one actor for each GPU, or for some CPU cores.

Ray repeats the jobs of a worker that was lost, so a job may be rendered more than once. Outputs are
renamed into place and each job has one result, which only this process records.
"""

import logging
import pickle
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from inspect import Parameter, signature
from itertools import islice
from typing import Any

from ..errors import SettingsError, one_line
from .identity import Identity
from .jobs import Job
from .ledger import MOST_ATTEMPTS
from .results import Result
from .run import Start
from .worker import Worker

logger = logging.getLogger(__name__)

CHUNK = 10_000  # jobs that are handed to Ray at a time; between two of them models are reloaded

INSTALL = '`pip install "ray[data]"` (the extra `ray`)'


class RayWorker:
    """The actor: a `Worker` for rows of Ray Data. Its model is loaded with its first job."""

    def __init__(self, *, verify: bool) -> None:
        self._worker = Worker(Identity(content=verify))

    def __call__(self, rows: Mapping[str, Any]) -> dict[str, list[bytes]]:
        """Render the jobs of some rows."""
        jobs = (pickle.loads(job) for job in rows["job"])
        results = [self._worker.render(self._worker.prepare(job)) for job in jobs]
        return {"result": [pickle.dumps(result) for result in results]}


@dataclass(frozen=True)
class RayEngine:
    """Renders on a cluster of Ray."""

    address: str | None = None  # None: the one that runs here, else one that is started
    cpus_per_worker: int = 4  # without GPUs
    use_gpus: bool = True
    verify: bool = False

    def __call__(self, jobs: Iterator[tuple[Job, str]], start: Start) -> Iterator[Result]:
        """The results, in the order in which they arrive."""
        with _session(self.address):
            while chunk := [*islice(jobs, CHUNK)]:
                yield from self._rendered(chunk, start)

    def _rendered(self, chunk: list[tuple[Job, str]], start: Start) -> Iterator[Result]:
        import ray.data

        for job, key in chunk:
            start(job, key, False)
        workers, needs = self._resources(len(chunk))
        logger.info("%d items on %d Ray workers", len(chunk), workers)
        rows = [{"job": pickle.dumps(job)} for job, _key in chunk]
        # a block for each row: of a lost worker only the jobs in its hands are repeated
        data = ray.data.from_items(rows, override_num_blocks=len(rows))
        with warnings.catch_warnings():  # Ray 2.60 announces other names for the limits of retries
            warnings.simplefilter("ignore")
            results = data.map_batches(
                RayWorker,
                batch_size=1,
                fn_constructor_kwargs={"verify": self.verify},
                compute=ray.data.ActorPoolStrategy(size=workers, max_tasks_in_flight_per_actor=2),
                **needs,
                **_retries(data.map_batches),
            )
        waiting = {job.number: (job, key) for job, key in chunk}
        for row in results.iter_rows():
            result = pickle.loads(row["result"])
            if waiting.pop(result.number, None) is not None:
                yield result
        for job, key in waiting.values():
            text = (
                f"The worker ended {MOST_ATTEMPTS} times while this item was in progress: check "
                "its inputs and Ray's log, then add --redo failed."
            )
            yield Result(key, job.number, "failed", str(job.output), text)

    def _resources(self, jobs: int) -> tuple[int, dict[str, Any]]:
        """How many workers there are, and what each of them takes."""
        import ray

        nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        gpus = int(sum(node.get("GPU", 0) for node in nodes)) if self.use_gpus else 0
        if gpus:
            return min(gpus, jobs), {"num_gpus": 1}
        cores = [int(node.get("CPU", 0)) for node in nodes]
        each = min(self.cpus_per_worker, max(cores, default=1))
        return min(sum(count // each for count in cores), jobs), {"num_cpus": each}


def _retries(map_batches: Callable[..., Any]) -> dict[str, Any]:
    """How often a lost worker and its jobs are started again, where Ray lets a caller say it."""
    kinds = {parameter.kind for parameter in signature(map_batches).parameters.values()}
    if Parameter.VAR_KEYWORD not in kinds:
        return {}
    return {"max_restarts": -1, "max_task_retries": MOST_ATTEMPTS - 1}


def check_installed() -> None:
    """Raise SettingsError if Ray is not installed."""
    try:
        import ray.data  # noqa: F401
    except ImportError as error:
        raise SettingsError(
            f"--ray needs Ray ({one_line(str(error))[:80]}): install it on every machine with "
            f"{INSTALL}, or leave out --ray."
        ) from error


@contextmanager
def _session(address: str | None) -> Iterator[None]:
    """Connect to a cluster. Raises SettingsError if there is none at this address."""
    import ray
    import ray.data

    try:
        local: dict[str, Any] = {} if address else {"include_dashboard": False}
        ray.init(address or None, log_to_driver=False, logging_level=logging.ERROR, **local)
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise SettingsError(
            f"There is no Ray cluster at {address or 'this machine'} ({str(error)[:80]}): start "
            "one with `ray start --head` and pass its address, or leave the address out."
        ) from error
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    logging.getLogger("ray.data").setLevel(logging.ERROR)  # it has files of its own
    context.max_errored_blocks = -1  # the rest is rendered
    try:
        yield
    finally:
        ray.shutdown()
