"""The comparison with ComfyUI's own transformer and VAE: equal work on both sides."""

import io
import json
from contextlib import redirect_stdout

import pytest

DEPTH, WIDTH = 1, 192


@pytest.fixture(scope="module")
def measured(comfy, bench_host):
    """Everything of one round at toy size."""
    with redirect_stdout(io.StringIO()) as printed:
        bench_host.main(["--size", "toy", "--depth", str(DEPTH), "--rounds", "1", "--json"])
    return json.loads(printed.getvalue())


def test_both_sides_compute_the_same(measured):
    assert measured["differences"].keys() == {line["case"] for line in measured["lines"]}
    assert max(measured["differences"].values()) < 1e-3


def test_the_sizes_differ_only_as_the_table_says(measured, checkpoint):
    dit, vae = (measured["parameters"][part] for part in ("dit", "vae"))
    assert dit["ours"] - dit["comfyui"] == 3 * DEPTH * WIDTH  # offsets of the norms
    convolutions = (p for p in checkpoint.vae.parameters() if p.ndim == 3)
    assert vae["comfyui"] - vae["ours"] == sum(len(weight) for weight in convolutions)


def test_comfyui_is_the_baseline_of_every_ratio(measured):
    cases = {line["case"]: [] for line in measured["lines"]}
    for line in measured["lines"]:
        cases[line["case"]].append((line["way"], line["baseline"]))
    assert list(cases) == ["forward", "guided step", "decode a window", "encode 10 s"]
    for (first, none), *others in cases.values():
        assert (first, none) == ("ComfyUI", None)
        assert {baseline for _, baseline in others} == {"ComfyUI"}


def test_without_a_comfyui_it_leaves_with_the_reason(bench_host, monkeypatch):
    monkeypatch.setattr(bench_host, "why_not", lambda: "no ComfyUI found")
    with pytest.raises(SystemExit, match="no ComfyUI found"):
        bench_host.main([])
