"""The engine of one process: the next inputs are read while a job is rendered."""

from pathlib import Path
from threading import Event, get_ident
from types import SimpleNamespace

from audiox_core.batch.jobs import Job
from audiox_core.batch.local_engine import LocalEngine
from audiox_core.batch.worker import Prepared
from audiox_core.pipeline.model_options import ModelOptions
from audiox_core.pipeline.request import Request


def test_the_next_inputs_are_read_meanwhile_and_no_more():
    read, events, threads = [Event() for _ in range(4)], [], set()

    def prepare(job):
        threads.add(get_ident())
        events.append(f"read {job.number}")
        read[job.number].set()
        return Prepared(job, f"{job.number:016x}")

    def render(prepared):
        number = prepared.job.number
        if number < 3:
            assert read[number + 1].wait(10)  # it is read while this one is rendered
        events.append(f"render {number}")
        return number

    jobs = [Job(k, Path(f"{k}.wav"), Request("rain"), ModelOptions()) for k in range(4)]
    engine = LocalEngine(SimpleNamespace(prepare=prepare, render=render))
    started = []
    results = engine(((j, "") for j in jobs), lambda job, key, counted: started.append(key))
    assert [*results] == [0, 1, 2, 3]
    assert started == [f"{k:016x}" for k in range(4)]
    assert get_ident() not in threads
    for k in range(2):  # one item ahead, not more
        assert events.index(f"render {k}") < events.index(f"read {k + 2}")
