"""`batch` from its command line to its files."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import av
import numpy as np
import pytest

ROOT = Path(__file__).parents[3]
QUICK = ("--seconds", "1", "--steps", "1", "--device", "cpu")


@pytest.fixture
def clips(tmp_path):
    """Five files of different kinds and two broken ones."""
    folder = tmp_path / "clips"
    (folder / "sub").mkdir(parents=True)
    kinds = (("a.mp4", "mpeg4"), ("b.avi", "mpeg4"), ("sub/c.mkv", "mjpeg"), ("d.webm", "libvpx"))
    for name, codec in kinds:
        with av.open(str(folder / name), "w") as container:
            stream = container.add_stream(codec, rate=5)
            stream.width = stream.height = 32
            stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
            for k in range(6):
                pixels = np.full((32, 32, 3), 40 * k, np.uint8)
                container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, "rgb24")))
            container.mux(stream.encode())
    whole = (folder / "a.mp4").read_bytes()
    (folder / "broken.mp4").write_bytes(whole[: len(whole) // 2])
    (folder / "empty.mov").touch()
    with av.open(str(folder / "e.wav"), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8_000)
        stream.layout = "mono"
        frame = av.AudioFrame.from_ndarray(np.full((1, 4_000), 900, np.int16), "s16", "mono")
        frame.sample_rate = 8_000
        container.mux(stream.encode(frame))
    return folder


OUTPUTS = ["a.mp4", "b.mkv", "d.webm", "e.wav", "sub/c.mkv"]


def events(output):
    lines = (output / "batch.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def made(output):
    files = (p for p in output.rglob("*") if p.is_file() and p.name != "batch.jsonl")
    return sorted(p.relative_to(output).as_posix() for p in files)


def test_a_folder_gets_its_sounds_and_a_second_run_does_nothing(run, clips, tmp_path):
    code, out, err = run("batch", clips, "-o", "out", *QUICK, "--json")
    summary = json.loads(out)
    assert (code, summary["done"], summary["failed"]) == (1, 5, 2), err
    assert made(tmp_path / "out") == OUTPUTS
    with av.open(str(tmp_path / "out" / "b.mkv")) as container:
        assert [stream.type for stream in container.streams] == ["video", "audio"]
    names = [Path(failure["output"]).name for failure in summary["failures"]]
    assert names == ["broken.mp4", "empty.mov"]
    assert all(failure["error"] and "\n" not in failure["error"] for failure in summary["failures"])
    before = events(tmp_path / "out")
    code, out, _ = run("batch", clips, "-o", "out", *QUICK)
    assert code == 1
    assert out.split()[:5] == ["skipped", "5", "failed", "before", "2"]
    assert events(tmp_path / "out") == before


def test_killed_runs_are_continued_and_nothing_is_rendered_twice(clips, tmp_path):
    output = tmp_path / "out"
    command = [sys.executable, "-m", "audiox_core", "batch", str(clips), "-o", str(output), *QUICK]
    done = 0
    # after so many sounds, in the middle of the next one
    for wanted, number, code in ((1, signal.SIGKILL, -9), (3, signal.SIGTERM, 143)):
        process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL)
        until = time.monotonic() + 120
        while done < wanted and time.monotonic() < until:
            time.sleep(0.01)
            if (output / "batch.jsonl").exists():
                done = (output / "batch.jsonl").read_text().count('"status": "done"')
        process.send_signal(number)
        assert process.wait() == code
    last = {event["key"]: event["status"] for event in events(output)}
    assert "started" not in last.values()  # a signal to stop is an end, too
    assert subprocess.run(command, cwd=ROOT, stderr=subprocess.DEVNULL, check=False).returncode == 1
    ends = Counter(e["output"] for e in events(output) if e["status"] in ("done", "failed"))
    assert set(ends.values()) == {1}
    assert [Path(p).relative_to(output).as_posix() for p in sorted(ends)] == sorted(
        [*OUTPUTS, "broken.mp4", "empty.mov"]
    )
    left = [p for p in made(output) if not Path(p).name.startswith(".")]
    assert left == OUTPUTS


def test_a_dry_run_writes_nothing(run, tmp_path):
    lines = ['{"prompt": "rain"}', '{"promt": "rain"}']
    (tmp_path / "a.jsonl").write_text("\n".join(lines), encoding="utf-8")
    code, out, err = run("batch", "a.jsonl", "-o", "out", "--dry-run")
    assert code == 1
    assert out.splitlines()[0].split() == ["to", "render", "1"]
    assert "did you mean 'prompt'" in err[-1]
    assert [p.name for p in tmp_path.iterdir()] == ["a.jsonl"]


def test_a_dry_run_imports_no_pytorch(tmp_path):
    (tmp_path / "a.txt").write_text("rain\n", encoding="utf-8")
    command = ["batch", str(tmp_path / "a.txt"), "-o", str(tmp_path / "o"), "--dry-run"]
    code = f"import sys\nfrom audiox_core.cli import main\nmain({command!r})\n"
    code += "assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, env=os.environ)


def test_an_estimate_renders_a_sample_that_counts_as_done(run, tmp_path):
    (tmp_path / "a.txt").write_text("rain\n" * 7, encoding="utf-8")
    code, out, err = run("batch", "a.txt", "-o", "out", *QUICK, "--estimate", "--json")
    numbers = json.loads(out)
    assert (code, numbers["items"], numbers["sample"]) == (0, 2, 5), err
    assert numbers["hours"] > 0
    assert numbers["gigabytes"] == round(2 * 44_100 * 2 * 2 / 1e9, 4)
    assert len(made(tmp_path / "out")) == 5


def test_notes_on_the_settings_are_shown_once(run, tmp_path):
    (tmp_path / "a.txt").write_text("rain\na bell\n", encoding="utf-8")
    code, _, err = run("batch", "a.txt", "-o", "out", *QUICK)
    assert code == 0
    assert len([line for line in err if "1 step is few" in line]) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("nowhere", "-o", "out"), "There is no folder or file nowhere"),
        (("clips", "-o", "clips"), "lies in the folder of the outputs"),
        (("clips", "-o", "out", "--name", "{stm}"), "is not a pattern"),
        (("clips", "-o", "out", "--checkpoint", "no.ckpt"), "There is no weights file"),
    ],
)
def test_wrong_options_are_refused_first(run, clips, tmp_path, arguments, message):
    code, _, err = run("batch", *arguments)
    assert (code, len(err)) == (2, 1)
    assert message in err[0]
    assert not (tmp_path / "out").exists()
