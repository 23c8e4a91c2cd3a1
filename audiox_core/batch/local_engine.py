"""Renders a batch in this process."""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from .jobs import Job
from .results import Result
from .run import Start
from .worker import Prepared, Worker


@dataclass(frozen=True)
class LocalEngine:
    """Renders in this process; the inputs of the next job are read while one is rendered."""

    worker: Worker

    def __call__(self, jobs: Iterator[tuple[Job, str]], start: Start) -> Iterator[Result]:
        """The results in the order of the jobs."""
        with ThreadPoolExecutor(1, "read-ahead") as reader:

            def read_next() -> "Future[Prepared] | None":
                job, _key = next(jobs, (None, ""))
                return None if job is None else reader.submit(self.worker.prepare, job)

            waiting = read_next()
            while waiting is not None:
                prepared = waiting.result()
                start(prepared.job, prepared.key, True)
                waiting = read_next()
                yield self.worker.render(prepared)
