"""The run of `batch`: what it imports takes a while, so it is imported last."""

import argparse
import json
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tqdm import tqdm

from ..batch.identity import Identity
from ..batch.items import Items, fixed_folder, open_items
from ..batch.jobs import MODEL, REQUEST, JobMaker, check_defaults, check_name
from ..batch.ledger import open_ledger
from ..batch.results import SHOWN_FAILURES, Result, Summary
from ..batch.run import COUNTED, Batch, Engine, OnResult, run_batch
from ..errors import SettingsError, check_number
from ..pipeline.model_options import model_options
from ..pipeline.request import VARIATION
from ..progress_bar import count_bar

logger = logging.getLogger(__name__)

COUNTS = ("to render", "done", "skipped", "failed", "failed before")
MOST_MESSAGES = 1_000  # that are remembered, to show each once


def run(options: argparse.Namespace) -> int:
    """Run a batch; returns the exit code.

    What is wrong with the options or the model is refused first; then items are read one by one.
    """
    check_number("--cpus-per-worker", options.cpus_per_worker, 1, 4_096, whole=True)
    check_name(options.name)
    output = options.output.absolute()
    items = _items(options, output)
    defaults = {name: value for name, value in vars(options).items() if name in REQUEST | MODEL}
    check_defaults(defaults)
    model_options(defaults).check()
    ledger_path = output / "batch.jsonl" if options.ledger is None else options.ledger
    identity = Identity(content=options.verify)
    engine = None if options.dry_run else _engine(options, defaults, identity)
    if engine is not None:
        for folder in (output, ledger_path.parent):
            folder.mkdir(parents=True, exist_ok=True)
    with open_ledger(ledger_path, write=engine is not None) as ledger:
        batch = Batch(
            items,
            JobMaker(defaults, output, options.name),
            ledger,
            identity,
            options.redo,
            options.force,
        )
        if engine is None:
            return _dry_run(batch, options)
        if options.estimate:
            return _estimate(batch, engine, options)
        summary = Summary(items.count(), str(ledger_path))
        with _each_message_once(), _shown(summary.total) as show:
            run_batch(batch, engine, summary, show)
    _print(summary, options)
    return 0 if summary.succeeded else 1


def _items(options: argparse.Namespace, output: Path) -> Items:
    varied = any(getattr(options, name) for name in VARIATION)
    folder = fixed_folder(options.source)
    if folder is not None and folder.absolute().is_relative_to(output):
        raise SettingsError(
            f"{options.source} lies in the folder of the outputs: choose another --output."
        )
    sound_as = "init_audio" if varied else "audio"
    return open_items(options.source, sound_as=sound_as, without=output)


def _engine(options: argparse.Namespace, defaults: dict[str, Any], identity: Identity) -> Engine:
    """What renders; a wrong device or default model is one error, before anything is written."""
    from ..batch.local_engine import LocalEngine
    from ..batch.worker import Worker
    from ..device import choose_device

    worker = Worker(identity)
    worker.model(model_options(defaults))
    if options.ray is None:
        choose_device(options.device)
        return LocalEngine(worker)
    from ..batch.ray_engine import RayEngine, check_installed

    check_installed()
    use_gpus = options.device is None or not options.device.startswith("cpu")
    return RayEngine(options.ray, options.cpus_per_worker, use_gpus, options.verify)


def _dry_run(batch: Batch, options: argparse.Namespace) -> int:
    summary = Summary(0, str(batch.ledger.path))
    for turn in batch.turns():
        summary.total += 1
        if turn.action == "fail":
            summary.add(turn.failure())
            if summary.counts["failed"] <= SHOWN_FAILURES:
                logger.warning("item %d: %s", turn.number, turn.error)
        else:
            summary.counts[COUNTED.get(turn.action, "to render")] += 1
    _print(summary, options)
    return 1 if summary.counts["failed"] else 0


def _estimate(batch: Batch, engine: Engine, options: argparse.Namespace) -> int:
    from ..batch.estimate import estimate

    with _each_message_once():
        found = estimate(batch, engine)
    if not found.done:
        reason = found.results[0].error if found.results else "no item is left to render"
        raise SettingsError(f"There is nothing to measure: {reason}")
    numbers = found.as_dict()
    if options.json:
        print(json.dumps(numbers))
    else:
        print(
            "{sample} items rendered, {seconds_per_item:.2f} s each; the other {items:,} take "
            "about {hours:.2f} hours of one worker and {gigabytes:.2f} GB".format(**numbers)
        )
    return 0


@contextmanager
def _shown(total: int) -> Iterator[OnResult]:
    """Show each result: a bar on a terminal, elsewhere a line."""
    with count_bar("rendering", "items", total) as bar:

        def show(result: Result | None, summary: Summary) -> None:
            if result is None:
                bar.total -= 1  # the bar is of what is rendered
                return
            bar.set_description_str(f"rendering, {60 * _rate(summary):.1f} a minute", refresh=False)
            bar.update()
            if result.status == "failed":
                logger.warning("item %d failed: %s", result.number, result.error)
            elif bar.disable:
                logger.info("%s", _line(result, summary))

        yield show


def _line(result: Result, summary: Summary) -> str:
    rate = _rate(summary)
    left = tqdm.format_interval((summary.total - sum(summary.counts.values())) / rate)
    return (
        f"{sum(summary.counts.values())}/{summary.total} {Path(result.output).name}: "
        f"{result.elapsed_seconds:.1f} s, {60 * rate:.1f} items a minute, {left} left"
    )


def _rate(summary: Summary) -> float:
    """Items that were rendered in a second."""
    made = summary.counts["done"] + summary.counts["failed"]
    return made / max(summary.elapsed_seconds, 1e-9)


@contextmanager
def _each_message_once() -> Iterator[None]:
    """Show a note on the model or the settings once, not for every item."""
    seen: set[str] = set()

    def is_new(record: logging.LogRecord) -> bool:
        text = record.getMessage()
        if text in seen:
            return False
        if len(seen) < MOST_MESSAGES:
            seen.add(text)
        return True

    handlers = logging.getLogger(str(__package__).rpartition(".")[0]).handlers
    for handler in handlers:
        handler.addFilter(is_new)
    try:
        yield
    finally:
        for handler in handlers:
            handler.removeFilter(is_new)


def _print(summary: Summary, options: argparse.Namespace) -> None:
    if options.json:
        print(json.dumps(summary.as_dict()))
        return
    for name in (name for name in COUNTS if summary.counts[name]):
        print(f"{name:14}{summary.counts[name]:>9,}")
    print(f"{'total':14}{summary.total:>9,}")
    if summary.counts["done"]:
        time = tqdm.format_interval(summary.elapsed_seconds)
        print(f"{summary.sound_seconds:,.1f} s of sound, {summary.bytes / 1e9:.3f} GB, in {time}")
    if summary.counts["failed"] and not options.dry_run:
        print(f"the failures are in {summary.ledger}", file=sys.stderr)
    if summary.counts["failed before"]:
        print("failed in an earlier run: add --redo failed to render them again", file=sys.stderr)
