"""Damaged files end in one clear line: forty seconds of the campaign, and that it finds faults."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def campaign(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "tests.fuzz", *arguments],
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )


@pytest.mark.parametrize(("kind", "count"), [("media", 100), ("weights", 30)])
def test_damaged_files_end_in_one_clear_line(kind, count):
    done = campaign("--only", kind, "--count", str(count), "--seed", "20261127")
    assert done.returncode == 0, done.stdout[-4_000:] + done.stderr[-4_000:]
    assert f"{kind}: {count} files, 0 with faults" in done.stdout


def test_a_mutant_depends_on_its_seed_and_number_alone(fuzz, tmp_path):
    mutants = fuzz("media").mutants

    def made(name, *arguments):
        (folder := tmp_path / name).mkdir()
        count, seed, *first = arguments
        return {path.name: path.read_bytes() for path in mutants(count, seed, folder, *first)}

    first, again, other = made("a", 6, 1), made("b", 3, 1, 3), made("c", 6, 2)
    assert again.items() <= first.items()
    assert len(again) == 3
    assert not first.items() & other.items()


FAULTS = {
    "fine": "",
    "raises": "reading: IndexError: list index out of range",
    "speaks_in_lines": "reading: the message contains",
    "speaks_at_length": "reading: the message has",
    "logs_escapes": "log: the message contains",
    "warns": "warning: 'invalid value'",
    "leaves_a_temporary_file": "files left",
    "leaves_a_file_beside": "files left",
    "leaves_a_handle": "1 file handles left open",
    "crashes": "the process ended with code -11",
    "hangs": "no end after",
    "fills_the_memory": "GB of memory",
}


@pytest.fixture(scope="module")
def examine(fuzz, tmp_path_factory):
    """The faults of a file, found by a worker with small limits."""
    worker_of, folder = fuzz("isolated").Worker, tmp_path_factory.mktemp("faults")
    with worker_of("known_faults") as worker:
        memory = worker.check(written(folder, "fine")).peak + 200_000_000
    with worker_of("known_faults", seconds=5.0, memory=memory) as worker:
        yield lambda name: worker.check(written(folder, name)).faults


def written(folder, name):
    path = folder / f"{name}.bin"
    path.write_bytes(b"")
    return path


@pytest.mark.parametrize("name", FAULTS)
def test_the_campaign_finds_every_kind_of_fault(examine, name):
    faults = examine(name)
    if FAULTS[name]:
        assert len(faults) == 1
        assert faults[0].startswith(FAULTS[name]) or FAULTS[name] in faults[0].splitlines()[0]
    else:
        assert faults == []


@pytest.mark.parametrize("kind", ["rate 1.wav", "channels 8.wav", "1 x 1.png"])
def test_one_file_can_be_checked_alone(fuzz, tmp_path, kind):
    path = tmp_path / kind
    path.write_bytes(fuzz("extremes").EXTREMES[kind]())
    assert fuzz("media").check(path) is None
