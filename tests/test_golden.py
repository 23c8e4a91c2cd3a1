"""Every recorded case passes. `pytest -m slow` runs the full-size ones."""

import json
from math import prod
from pathlib import Path

import pytest
import torch

from audiox_core.checkpoint.layout import released_layout
from audiox_core.config import AudioXConfig

GOLDEN = Path(__file__).parent / "golden"
CASES = sorted(path for path in GOLDEN.glob("*.json") if not path.stem.endswith(".keys"))


def case_parameter(path: Path):
    slow = json.loads(path.read_text(encoding="utf-8"))["slow"]
    return pytest.param(path, id=path.stem, marks=[pytest.mark.slow] if slow else [])


@pytest.mark.parametrize("path", [case_parameter(path) for path in CASES])
def test_recorded_numbers_are_met(parity, path):
    report = parity.check(parity.read_case(path))
    if report["verdict"] == "skipped":
        pytest.skip(report["why"])
    assert report["verdict"] == "ok", parity.line(report)


def test_a_wrong_number_is_caught(parity):
    case = parity.read_case(GOLDEN / "v1_snake.json")
    case.tensors["y"] = case.tensors["y"] * (1 + 1e-2)
    assert parity.check(case)["verdict"] == "FAILED"


def test_a_tensor_that_nobody_computes_is_caught(parity):
    case = parity.read_case(GOLDEN / "v1_snake.json")
    case.tensors["forgotten"] = torch.zeros(3)
    report = parity.check(case)
    assert report["verdict"] == "FAILED"
    assert "forgotten" in report["why"]


def test_not_a_number_is_no_match(parity):
    case = parity.read_case(GOLDEN / "v1_snake.json")
    case.tensors["x"] = case.tensors["x"] * float("nan")
    assert parity.check(case)["verdict"] == "FAILED"


def test_a_case_without_an_adapter_fails(parity, tmp_path, capsys):
    (tmp_path / "v9_new.json").write_text('{"case": "v9_new", "facts": {}}', encoding="utf-8")
    assert parity.main([str(tmp_path)]) == 1
    assert "no adapter" in capsys.readouterr().out


def test_the_layout_is_that_of_the_released_file():
    listed = json.loads((GOLDEN / "audiox-v1.keys.json").read_text(encoding="utf-8"))
    layout = released_layout(AudioXConfig())
    assert {name: list(shape) for name, shape in layout.items()} == listed["keys"]
    assert sum(map(prod, layout.values())) == listed["elements"]
