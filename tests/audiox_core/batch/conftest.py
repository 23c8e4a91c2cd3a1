"""A batch whose jobs are pretended to be rendered."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from audiox_core.batch.identity import Identity
from audiox_core.batch.items import open_items
from audiox_core.batch.jobs import JobMaker
from audiox_core.batch.ledger import open_ledger
from audiox_core.batch.results import Result, Summary
from audiox_core.batch.run import Batch, run_batch
from audiox_core.cli import build_parser


@pytest.fixture(scope="session")
def defaults():
    """The options of `batch`: `defaults("--steps", "4")`."""

    def make(*options):
        arguments = ["batch", "items.jsonl", "-o", "out", *options]
        return vars(build_parser()[0].parse_args(arguments))

    return make


@pytest.fixture
def manifest(tmp_path):
    """Write a manifest of some lines."""

    def write(*lines: str) -> Path:
        path = tmp_path / "items.jsonl"
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return path

    return write


@pytest.fixture
def run(tmp_path, defaults):
    """Run a batch with a pretended engine; outputs whose name has "bad" fail.

    Returns:
        The summary, and the names of the outputs that were rendered, in order.
    """
    output = tmp_path / "out"

    def call(source, *options, redo=None, force=False, on_start=lambda job: None):
        rendered = []

        def engine(jobs, start):
            for job, key in jobs:
                start(job, key, True)
                on_start(job)
                rendered.append(job.output.name)
                failed = "bad" in job.output.name
                if not failed:
                    job.output.write_text("sound", encoding="utf-8")
                status = "failed" if failed else "done"
                yield Result(key, job.number, status, str(job.output), "it is bad" * failed)

        output.mkdir(exist_ok=True)
        items = open_items(str(source), without=output)
        maker = JobMaker(defaults(*options), output)
        with open_ledger(output / "batch.jsonl") as ledger:
            batch = Batch(items, maker, ledger, Identity(), redo, force)
            summary = run_batch(batch, engine, Summary(items.count()))
        return SimpleNamespace(counts=dict(summary.counts), rendered=rendered, summary=summary)

    return call
