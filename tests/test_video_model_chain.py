"""A video model and AudioX in one run, with memory for one of them: ComfyUI frees the other."""

import json

import av
import pytest


@pytest.fixture(scope="module")
def small(host, tiny_wan, tmp_path_factory):
    """A server whose memory holds one of the two transformers."""
    if reason := host.why_not():
        pytest.skip(reason)
    scratch = tmp_path_factory.mktemp("small")
    tiny_wan.install(scratch)
    log = scratch / "loads.jsonl"
    with host.Server(scratch, AUDIOX_TEST_LIMIT=str(log)) as server:
        yield server


@pytest.fixture(scope="module")
def prompt(small, tiny_wan, write_workflows):
    graph = write_workflows.GRAPHS["AudioX Wan Video with Sound"]
    made = tiny_wan.replaced(tiny_wan.api_prompt(graph, small.get("/object_info")), small.scratch)
    for node in made.values():
        if "steps" in node["inputs"]:
            node["inputs"]["steps"] = 2
    return made


def events(small) -> list[dict]:
    return [json.loads(line) for line in (small.scratch / "loads.jsonl").read_text().splitlines()]


def test_wan_and_audiox_run_in_one_prompt_and_each_is_freed_for_the_other(small, prompt):
    entry = small.queue(prompt)
    assert entry["status"]["status_str"] == "success", entry
    (file,) = (f for out in entry["outputs"].values() for f in out.get("images", []))
    path = small.scratch / "output" / file["subfolder"] / file["filename"]
    with av.open(str(path)) as container:
        assert sorted(stream.type for stream in container.streams) == ["audio", "video"]
        assert sum(1 for _ in container.decode(video=0)) == 9
    first = events(small)
    assert loads(first, "WAN21") == loads(first, "AudioXModel") == 1
    assert freed_before(first, "WAN21", "AudioXModel")
    draw = next(node for node in prompt.values() if node["class_type"] == "KSampler")
    draw["inputs"]["seed"] = 8  # another video: Wan has to come back
    assert small.queue(prompt)["status"]["status_str"] == "success"
    second = events(small)[len(first) :]
    assert loads(second, "WAN21") == loads(second, "AudioXModel") == 1
    assert freed_before(second, "AudioXModel", "WAN21")
    assert freed_before(second, "WAN21", "AudioXModel")


def loads(log: list[dict], model: str) -> int:
    return sum(e["what"] == "load" and e["model"] == model for e in log)


def freed_before(log: list[dict], model: str, other: str) -> bool:
    """Whether ComfyUI unloaded a model before it loaded the other, and had it no longer then."""
    at = next(k for k, e in enumerate(log) if e["what"] == "load" and e["model"] == other)
    gone = any(e["what"] == "unload" and e["model"] == model for e in log[:at])
    return gone and model not in log[at]["loaded"]
