"""Jobs on Ray Data: the same sounds as in one process, also where a worker is lost.

The test starts a cluster of two nodes on this machine, each with one core.
"""

import json
import os
import pickle
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from contextlib import nullcontext, suppress
from hashlib import blake2b
from pathlib import Path

import pytest

from audiox_core.batch import ray_engine
from audiox_core.batch.jobs import Job
from audiox_core.batch.ray_engine import RayEngine, RayWorker
from audiox_core.errors import SettingsError
from audiox_core.pipeline.model_options import ModelOptions
from audiox_core.pipeline.request import Request

ROOT = Path(__file__).parents[3]
STORE = 150 << 20  # bytes of a node's object store
SECONDS = 110.0  # that the test may take
ITEMS = 8
SOUND = ("--seconds", "1", "--steps", "8", "--device", "cpu")


def test_a_row_is_a_job_and_its_result(tmp_path):
    job = Job(3, tmp_path / "a.wav", Request("rain", seconds=1.0, steps=1), ModelOptions())
    (packed,) = RayWorker(verify=False)({"job": [pickle.dumps(job)]})["result"]
    result = pickle.loads(packed)
    assert (result.number, result.status) == (3, "done")
    assert (tmp_path / "a.wav").exists()


def test_without_ray_the_error_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(SettingsError, match="pip install"):
        ray_engine.check_installed()


def test_jobs_are_handed_over_in_bounded_pieces(monkeypatch):
    monkeypatch.setattr(ray_engine, "CHUNK", 2)
    monkeypatch.setattr(ray_engine, "_session", nullcontext)
    sizes = []
    monkeypatch.setattr(
        RayEngine, "_rendered", lambda self, chunk, start: sizes.append(len(chunk)) or iter(())
    )
    assert [*RayEngine()(((None, "") for _ in range(5)), lambda *_: None)] == []
    assert sizes == [2, 2, 1]


@pytest.fixture
def cluster(tmp_path):
    """A Ray cluster of two nodes, each with one core; gives its address."""
    pytest.importorskip("ray.data", reason="Ray is not installed: pip install 'ray[data]'")
    pytest.importorskip("pyarrow", reason="Ray Data is not installed: pip install 'ray[data]'")
    command = [sys.executable, "-m", "ray.scripts.scripts"]
    folder = Path("/tmp") / f"r{os.getpid()}"  # paths of sockets must be short
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"127.0.0.1:{port}"
    common = ["--num-cpus=1", f"--object-store-memory={STORE}", "--disable-usage-stats"]
    head = ["--head", f"--port={port}", "--include-dashboard=false", f"--temp-dir={folder}"]
    env = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    nodes = []
    for part in ([*head, "--node-ip-address=127.0.0.1"], [f"--address={address}"]):
        line = [*command, "start", *part, *common, "--block"]
        log = (tmp_path / f"node{len(nodes)}.log").open("w")
        nodes.append(
            subprocess.Popen(line, env=env, stdout=log, stderr=log, start_new_session=True)
        )
        time.sleep(1 if nodes[1:] else 6)  # the second node needs the first one
    yield address
    for node in nodes:
        os.killpg(node.pid, signal.SIGTERM)
    for node in nodes:
        with suppress(subprocess.TimeoutExpired):
            node.wait(3)
        with suppress(ProcessLookupError):
            os.killpg(node.pid, signal.SIGKILL)
        node.wait()
    shutil.rmtree(folder, ignore_errors=True)


def ends(output):
    path = output / "batch.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    events = [json.loads(line) for line in lines if line.endswith("}")]
    return [event for event in events if event["status"] in ("done", "failed")]


def sounds(output):
    # without the hidden file that a worker leaves when it is killed while it writes
    return {p.name: blake2b(p.read_bytes()).hexdigest() for p in output.glob("[!.]*.wav")}


@pytest.mark.ray
def test_a_killed_worker_costs_no_item_and_the_sounds_are_those_of_one_process(cluster, tmp_path):
    lines = [{"prompt": f"rain {k}", "output": f"{k}.wav"} for k in range(ITEMS)]
    lines[4] = {"video": "nowhere.mp4", "output": "4.mp4"}
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    env = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    base = [sys.executable, "-m", "audiox_core", "batch", str(tmp_path / "a.jsonl"), *SOUND]
    plain, spread = tmp_path / "plain", tmp_path / "spread"
    done = subprocess.run([*base, "-o", str(plain)], env=env, capture_output=True, check=False)
    assert done.returncode == 1, done.stderr

    ray = [*base, "-o", str(spread), "--ray", cluster, "--cpus-per-worker", "1"]
    process = subprocess.Popen(ray, env=env, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    until = time.monotonic() + SECONDS
    while not (worker := next((e["worker"] for e in ends(spread) if e["status"] == "done"), "")):
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < until
        time.sleep(0.05)
    os.kill(int(worker.rpartition(":")[2]), signal.SIGKILL)
    _, err = process.communicate(timeout=max(1.0, until - time.monotonic()))
    assert process.returncode == 1, err  # of the item that fails

    counts = Counter((event["number"], event["status"]) for event in ends(spread))
    expected = {(k + 1, "failed" if k == 4 else "done"): 1 for k in range(ITEMS)}
    assert counts == expected
    assert sounds(spread) == sounds(plain)
    assert len(sounds(spread)) == ITEMS - 1
    workers = {event["worker"] for event in ends(spread)}
    assert len(workers) >= 2, workers  # both nodes, or the worker that replaced the killed one
