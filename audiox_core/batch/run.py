"""A batch from its items to its ledger: what is done is skipped, the rest goes to an engine."""

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple

from ..errors import AudioXError, SettingsError, one_line
from ..media.files import remove_leftovers
from ..pipeline.outputs import output_paths
from .identity import Identity, text_key
from .items import Item, Items
from .jobs import Job, JobMaker
from .ledger import DONE, FAILED, MOST_ATTEMPTS, STARTED, KeyTable, Ledger, output_key
from .results import Result, Summary

Redo = Literal["failed", "all"]
# how an item is counted that is not rendered, by the action of its turn
COUNTED = {"done": "skipped", "failed": "failed before"}


class Turn(NamedTuple):
    """What to do with an item."""

    number: int
    key: str
    action: Literal["render", "done", "failed", "fail"]  # "failed": in an earlier run
    job: Job | None = None
    error: str = ""  # of "fail"

    def failure(self) -> Result:
        """The result of an item that is not rendered: "fail"."""
        output = "" if self.job is None else str(self.job.output)
        return Result(self.key, self.number, "failed", output, self.error)


@dataclass(frozen=True)
class Batch:
    """Items, how they become jobs, and which of them are rendered again."""

    items: Items
    maker: JobMaker
    ledger: Ledger
    identity: Identity
    redo: Redo | None = None
    force: bool = False  # replace files that this batch did not make
    began: float = field(default_factory=time.time)

    def turns(self) -> Iterator[Turn]:
        """What to do with each item, as its inputs and the ledger are at that moment."""
        claimed = KeyTable()  # the outputs of this run
        for item in self.items:
            job = None
            try:
                job = self.maker.make(item)
                turn = self._turn(job, claimed)
            except (AudioXError, OSError, ValueError) as error:  # such as a name that is too long
                turn = self._refused(item, job, one_line(str(error)))
            yield turn

    def _refused(self, item: Item, job: Job | None, error: str) -> Turn:
        """An item that no change of its inputs helps; its key is not that of a job."""
        key = text_key([item.number, item.problem, dict(item.fields)])
        before = self.ledger.state(key) == FAILED and self.redo is None
        return Turn(item.number, key, "failed" if before else "fail", job, error)

    def _turn(self, job: Job, claimed: KeyTable) -> Turn:
        paths = output_paths(job.output, job.request.takes)
        places = [output_key(path) for path in paths]
        if any(claimed.get(place) for place in places):
            raise SettingsError(
                f"Another item has the output {job.output}: give one of them another name."
            )
        for place in places:
            claimed.set(place, 1)
        key = self.identity.key(job)
        state = self.ledger.state(key)
        if state == DONE and self.redo != "all" and all(path.exists() for path in paths):
            return Turn(job.number, key, "done", job)
        if state == FAILED and self.redo is None:
            return Turn(job.number, key, "failed", job)
        problem = self._problem(job, state, paths)
        return Turn(job.number, key, "fail" if problem else "render", job, problem)

    def _problem(self, job: Job, state: int, paths: list[Path]) -> str:
        """Why a job must not be rendered."""
        try:
            job.check()
        except AudioXError as error:
            return str(error)
        if state >= STARTED + MOST_ATTEMPTS - 1 and self.redo is None:
            return (
                f"The process ended {MOST_ATTEMPTS} times while this item was in progress: check "
                "its inputs, then add --redo failed."
            )
        found = next((path for path in paths if path.exists()), None)
        if found is None or self.force or self.ledger.knows_output(job.output):
            return ""
        return (
            f"{found} exists and was not made by this batch: choose another --output, or add "
            "--force to replace it."
        )


# called when a job begins, with its key, and whether this is an attempt that counts
Start = Callable[[Job, str, bool], None]
# jobs with their keys -> results
Engine = Callable[[Iterator[tuple[Job, str]], Start], Iterable[Result]]
OnResult = Callable[[Result | None, Summary], None]


def run_batch(
    batch: Batch, engine: Engine, summary: Summary, on_result: OnResult = lambda *_: None
) -> Summary:
    """Render what is not done; the ledger has a line for each item that is rendered.

    Args:
        batch: items and ledger.
        engine: renders jobs.
        summary: is filled as the run proceeds, so that it holds what was done before an interrupt.
        on_result: called after each item; without a result, it was not rendered.
    """
    began = time.perf_counter()

    def finish(result: Result) -> None:
        batch.ledger.finish(result.record())
        summary.add(result)
        summary.elapsed_seconds = time.perf_counter() - began
        on_result(result, summary)

    def jobs() -> Iterator[tuple[Job, str]]:
        for turn in batch.turns():
            if turn.action == "render" and turn.job is not None:
                yield turn.job, turn.key
            elif turn.action == "fail":
                finish(turn.failure())
            else:
                summary.counts[COUNTED[turn.action]] += 1
                on_result(None, summary)

    render_jobs(batch, jobs(), engine, finish)
    summary.elapsed_seconds = time.perf_counter() - began
    return summary


def render_jobs(
    batch: Batch,
    jobs: Iterator[tuple[Job, str]],
    engine: Engine,
    finish: Callable[[Result], None],
) -> None:
    """Render jobs; the ledger says of those that an interrupt ends that they were stopped.

    Args:
        batch: of the jobs.
        jobs: with their keys.
        engine: renders them.
        finish: called with each result.
    """
    ledger = batch.ledger
    in_work: set[str] = set()
    tidy: set[Path] = set()

    def start(job: Job, key: str, counted: bool) -> None:
        folder = job.output.parent
        if ledger.state(key) >= STARTED and folder not in tidy:  # killed while it wrote
            tidy.add(folder)
            remove_leftovers(folder, batch.began)
        in_work.add(key)
        ledger.start(key, job.output, counted=counted)

    try:
        for result in engine(jobs, start):
            in_work.discard(result.key)
            finish(result)
    except KeyboardInterrupt:
        ledger.stop(in_work)
        raise
