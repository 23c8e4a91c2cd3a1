"""Every recorded case passes. `pytest -m slow` runs the full-size ones."""

import json
from math import prod
from pathlib import Path

import pytest
import torch

from audiox_core.checkpoint.detect import detect
from audiox_core.checkpoint.layout import check_layout, released_layout
from audiox_core.checkpoint.parts import synchformer_in
from audiox_core.checkpoint.weight_file import Stored, WeightFile
from audiox_core.config import AudioXConfig
from audiox_core.errors import WeightsError
from audiox_core.variants import VARIANTS

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


LISTED = {  # file of names and shapes -> variants; the teacher's file is laid out as the student's
    "audiox-maf": ["audiox-maf"],
    "audiox-maf-mmdit": ["audiox-maf-mmdit"],
    "audiox-turbo": ["audiox-base", "audiox-turbo"],
}


def listed(name: str) -> dict[str, tuple[int, ...]]:
    tensors = json.loads((GOLDEN / f"{name}.keys.json").read_text(encoding="utf-8"))["tensors"]
    return {key: tuple(shape) for key, shape in tensors.items()}


@pytest.mark.parametrize(("name", "variant"), [(n, v) for n, vs in LISTED.items() for v in vs])
def test_a_full_size_file_of_each_release_is_known_and_whole(name, variant):
    tensors = {key: Stored(shape, torch.float32) for key, shape in listed(name).items()}
    file = WeightFile(Path(variant, "model.ckpt"), tensors)
    config, _ = detect(file, variant=variant)
    assert config == VARIANTS[variant]
    assert released_layout(config) == listed(name)
    check_layout(file, config)
    less = {key: stored for key, stored in tensors.items() if key != "maf_block.unified_experts"}
    with pytest.raises(WeightsError, match=r"1 missing \(maf_block\.unified_experts\)"):
        check_layout(WeightFile(file.path, less), config)


def test_synchformers_file_is_known_and_whole():
    others = {"afeat_extractor.x": (1,), "vproj.weight": (768, 768)}  # of which nothing is used
    tensors = {key: Stored(s, torch.float32) for key, s in (listed("synchformer") | others).items()}
    file, config = WeightFile(Path("synchformer_state_dict.pth"), tensors), VARIANTS["audiox-maf"]
    assert synchformer_in(file, config).sizes == config.video.sync.encoder
    tensors.pop("vfeat_extractor.pos_embed")
    with pytest.raises(WeightsError, match=r"1 missing \(vfeat_extractor\.pos_embed\)"):
        synchformer_in(WeightFile(file.path, tensors), config)
