"""What makes a job the same job in another run."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from audiox_core.batch.identity import Identity, model_key
from audiox_core.batch.jobs import Job
from audiox_core.pipeline.model_options import ModelOptions
from audiox_core.pipeline.request import Request


@pytest.fixture
def job(tmp_path):
    (tmp_path / "a.mp4").write_bytes(b"film")
    return Job(1, tmp_path / "a.wav", Request("rain", video=tmp_path / "a.mp4"), ModelOptions())


def test_the_number_of_the_item_and_the_device_do_not_count(job):
    same = replace(job, number=9, model=ModelOptions(device="cpu", accelerate="graph"))
    assert Identity().key(same) == Identity().key(job)


def test_request_output_and_model_count(job):
    others = (
        replace(job, request=replace(job.request, steps=3)),
        replace(job, output=Path("b.wav")),
        replace(job, model=ModelOptions(dtype="bfloat16")),
    )
    assert len({Identity().key(j) for j in (job, *others)}) == 4


def test_an_input_counts_by_its_size_and_time(job):
    identity, path = Identity(), Path(str(job.request.video))
    first = identity.key(job)
    os.utime(path, ns=(1, 1))
    assert identity.key(job) != first
    path.unlink()
    assert identity.key(job) != first  # and it is no error: rendering says what is wrong


def test_with_content_the_time_does_not_count(job):
    identity, path = Identity(content=True), Path(str(job.request.video))
    first = identity.key(job)
    os.utime(path, ns=(1, 1))
    assert identity.key(job) == first
    path.write_bytes(b"FILM")
    assert identity.key(job) != first


def test_a_model_counts_by_its_header_and_size(tmp_path):
    path = tmp_path / "a.safetensors"

    def key(header: bytes, weights: bytes) -> str:
        path.write_bytes(len(header).to_bytes(8, "little") + header + weights)
        return model_key(ModelOptions(path))

    first = key(b'{"a":1}', b"123")
    assert key(b'{"a":1}', b"456") == first
    assert len({first, key(b'{"a":2}', b"123"), key(b'{"a":1}', b"1234")}) == 3
    (tmp_path / "vae.ckpt").write_bytes(b"beside it")
    assert key(b'{"a":1}', b"123") != first
