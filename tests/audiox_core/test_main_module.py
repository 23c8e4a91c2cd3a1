"""`python -m audiox_core` as a process: failing streams, signals, names with escapes."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from audiox_core.media.audio import read_audio

ROOT = Path(__file__).parents[2]
AUDIOX = [sys.executable, "-m", "audiox_core"]
RAIN = [*AUDIOX, "generate", "--prompt", "rain", "--seconds", "1", "--steps", "1", "-o", "a.wav"]
ENVIRONMENT = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}


@pytest.fixture
def call(tmp_path):
    """Run a command in an empty folder."""

    def call(*command, **environment):
        return subprocess.run(
            command, cwd=tmp_path, env=ENVIRONMENT | environment, capture_output=True, check=False
        )

    return call


@pytest.mark.parametrize("redirection", [">&- 2>&-", "> >(exec true)", "2>/dev/full"])
def test_a_written_file_is_a_success_whatever_became_of_the_output(call, tmp_path, redirection):
    done = call("bash", "-c", f"{' '.join(RAIN)} {redirection}")
    assert done.returncode == 0, done.stderr
    assert b"Traceback" not in done.stderr
    assert b"Exception ignored" not in done.stderr
    assert read_audio(tmp_path / "a.wav").shape == (2, 44_100)


def test_names_of_files_cannot_control_the_terminal(call, tmp_path):
    bad = "a\x1b[31m\x07\r.wav"
    done = call(*RAIN[:-1], bad)
    assert done.returncode == 0
    assert (tmp_path / bad).is_file()
    assert done.stdout.decode().strip().isprintable()
    failed = call(*AUDIOX, "inspect", bad)
    assert failed.returncode == 2
    (line,) = failed.stderr.decode().splitlines()
    assert line.isprintable()


def test_characters_that_the_encoding_lacks_are_escaped(call):
    done = call(*AUDIOX, "generate", "--help", PYTHONIOENCODING="ascii")
    assert done.returncode == 0
    assert rb"FROM-TO,\u2026" in done.stdout


def test_a_signal_that_the_caller_ignores_stays_ignored(call, tmp_path):
    done = call("bash", "-c", f"trap '' HUP; {' '.join(RAIN)} & sleep 2; kill -HUP $!; wait $!")
    assert done.returncode == 0
    assert (tmp_path / "a.wav").is_file()


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_lines_are_written_when_they_are_shown(unbuffered):
    code = (
        "import sys, time, audiox_core.__main__ as program\n"
        "sys.stderr = program.opened(sys.stderr, program.Output)\n"
        "sys.stderr.write('sampling\\n'); time.sleep(60)\n"
    )
    command, environment = (
        [sys.executable, "-c", code],
        ENVIRONMENT | {"PYTHONUNBUFFERED": unbuffered},
    )
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as run:
        began = time.monotonic()
        assert run.stderr.readline() == "sampling\n"
        assert time.monotonic() - began < 30
        run.kill()


def test_a_second_signal_ends_the_process_at_once():
    code = (
        "import sys, time, audiox_core.__main__ as program, audiox_core.cli as cli\n"
        "def main():\n"
        "    try: print('ready', flush=True); time.sleep(60)\n"
        "    finally: print('cleaning', flush=True); time.sleep(60)\n"
        "cli.main = main\n"
        "sys.exit(program.run())\n"
    )
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, env=ENVIRONMENT, stdout=subprocess.PIPE, text=True) as run:
        for word in ("ready", "cleaning"):
            assert run.stdout.readline().strip() == word
            run.send_signal(signal.SIGTERM)
        assert run.wait(10) == -signal.SIGTERM


@pytest.mark.parametrize("seed", range(3))
def test_a_killed_command_leaves_nothing_and_the_next_run_works(call, tmp_path, seed):
    rng = random.Random(seed)
    number = rng.choice([signal.SIGTERM, signal.SIGHUP])
    long = [*RAIN, "--steps", "500"]
    run = subprocess.Popen(long, cwd=tmp_path, env=ENVIRONMENT, stderr=subprocess.PIPE, text=True)
    time.sleep(rng.uniform(1.0, 6.0))
    run.send_signal(number)
    _, err = run.communicate(timeout=60)
    assert run.returncode in (128 + number, -number), err  # the latter where Python has just begun
    assert "Traceback" not in err
    assert not list(tmp_path.iterdir())
    assert call(*RAIN).returncode == 0
