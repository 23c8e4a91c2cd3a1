"""Every recorded case passes. `pytest -m slow` runs the full-size ones."""

import json
from math import prod
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from audiox_core.checkpoint.detect import detect
from audiox_core.checkpoint.layout import check_layout, released_layout, shapes_of
from audiox_core.checkpoint.part_files import synchformer_in
from audiox_core.checkpoint.weight_file import Stored, WeightFile
from audiox_core.config import AudioXConfig, MMDiTConfig
from audiox_core.errors import WeightsError
from audiox_core.models.mmdit import MMDiT
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


def test_a_recorded_tensor_that_is_not_computed_is_caught(parity):
    case = parity.read_case(GOLDEN / "v1_snake.json")
    case.tensors["forgotten"] = torch.zeros(3)
    report = parity.check(case)
    assert report["verdict"] == "FAILED"
    assert "forgotten" in report["why"]


def test_nan_never_matches_a_recorded_number(parity):
    case = parity.read_case(GOLDEN / "v1_snake.json")
    case.tensors["x"] = case.tensors["x"] * float("nan")
    assert parity.check(case)["verdict"] == "FAILED"


def test_a_case_without_an_adapter_fails(parity, tmp_path, capsys):
    (tmp_path / "v9_new.json").write_text('{"case": "v9_new", "facts": {}}', encoding="utf-8")
    assert parity.main([str(tmp_path)]) == 1
    assert "no adapter" in capsys.readouterr().out


def test_every_adapter_has_a_recorded_case(parity):
    names = [parity.read_case(path).name for path in CASES]
    assert parity.adapters_without_case(names) == []


def test_adapters_without_a_case_in_another_folder_are_listed_only(parity, tmp_path, capsys):
    for suffix in (".json", ".safetensors"):
        copied = (GOLDEN / "v1_snake").with_suffix(suffix)
        (tmp_path / copied.name).write_bytes(copied.read_bytes())
    assert parity.main([str(tmp_path)]) == 0
    listed = capsys.readouterr().err
    assert "adapters without a case here: " in listed
    assert "v1_dit_*" in listed
    assert "v1_snake*" not in listed


def three_blocks(parity, plain_mmdit, folder: Path) -> Path:
    """A case of MMDiT with other sizes than the recorded one; its numbers are plain formulas."""
    facts = json.loads((GOLDEN / "mmdit_backbone_tiny.json").read_text(encoding="utf-8"))
    sizes = {"embed_dim": 48, "depth": 3, "num_heads": 6, "io_channels": 4, "_latent_seq_len": 8}
    facts |= {"case": "mmdit_backbone_three", "rng_case": "mmdit_backbone_three"}
    facts["config"] |= sizes | {"cond_token_dim": 20, "global_cond_dim": 0}
    facts["inputs"] = {
        "x": {"shape": [2, 4, 7], "scale": 1.0, "formula": "rng"},
        "cond": {"shape": [2, 10, 20], "scale": 1.0, "formula": "rng"},
        "t": "stored",
    }
    path = folder / "mmdit_backbone_three.json"
    path.write_text(json.dumps(facts), encoding="utf-8")
    case, t = parity.read_case(path), torch.tensor([0.2, 0.9])
    with torch.device("meta"):
        shapes = shapes_of(MMDiT(MMDiTConfig(4, 48, 3, 6, 20, 0, 256, 3, 8, 10)))
    model = plain_mmdit(case.weights(shapes), depth=3, head_dim=6)
    x, cond = case["x"], case["cond"]
    null = model(x, t, torch.zeros_like(cond))
    out = model(x, t, cond)
    recorded = {f"block{index}_out": hidden for index, hidden in enumerate(model.hidden)}
    recorded |= {"t": t, "out": out, "out_zeros": null, "out_cfg3": null + 3 * (out - null)}
    recorded = {name: tensor.contiguous() for name, tensor in recorded.items()}
    save_file(recorded, path.with_suffix(".safetensors"))
    return path


def test_adapters_read_sizes_and_depth_from_the_case(parity, plain_mmdit, tmp_path):
    path = three_blocks(parity, plain_mmdit, tmp_path)
    report = parity.check(parity.read_case(path))
    assert report["verdict"] == "ok", parity.line(report)
    assert report["tensors"] == 6
    facts = json.loads(path.read_text(encoding="utf-8"))
    facts["config"]["depth"] = 2
    path.write_text(json.dumps(facts), encoding="utf-8")
    report = parity.check(parity.read_case(path))
    assert "recorded and not computed: ['block2_out']" in report["why"]


def test_our_layout_is_that_of_the_released_file():
    listed = json.loads((GOLDEN / "audiox-v1.keys.json").read_text(encoding="utf-8"))
    layout = released_layout(AudioXConfig())
    assert {name: list(shape) for name, shape in layout.items()} == listed["keys"]
    assert sum(map(prod, layout.values())) == listed["elements"]


LISTED = {  # file of names and shapes -> variants; teacher and student share one layout
    "audiox-maf": ["audiox-maf"],
    "audiox-maf-mmdit": ["audiox-maf-mmdit"],
    "audiox-turbo": ["audiox-base", "audiox-turbo"],
}


def listed(name: str) -> dict[str, tuple[int, ...]]:
    tensors = json.loads((GOLDEN / f"{name}.keys.json").read_text(encoding="utf-8"))["tensors"]
    return {key: tuple(shape) for key, shape in tensors.items()}


@pytest.mark.parametrize(("name", "variant"), [(n, v) for n, vs in LISTED.items() for v in vs])
def test_a_full_size_file_of_each_release_is_detected_and_complete(name, variant):
    tensors = {key: Stored(shape, torch.float32) for key, shape in listed(name).items()}
    file = WeightFile(Path(variant, "model.ckpt"), tensors)
    config, _ = detect(file, variant=variant)
    assert config == VARIANTS[variant]
    assert released_layout(config) == listed(name)
    check_layout(file, config)
    less = {key: stored for key, stored in tensors.items() if key != "maf_block.unified_experts"}
    with pytest.raises(WeightsError, match=r"1 missing \(maf_block\.unified_experts\)"):
        check_layout(WeightFile(file.path, less), config)


def test_the_file_of_synchformer_is_detected_and_complete():
    others = {"afeat_extractor.x": (1,), "vproj.weight": (768, 768)}  # not used
    tensors = {key: Stored(s, torch.float32) for key, s in (listed("synchformer") | others).items()}
    file, config = WeightFile(Path("synchformer_state_dict.pth"), tensors), VARIANTS["audiox-maf"]
    assert synchformer_in(file, config).sizes == config.video.sync.encoder
    tensors.pop("vfeat_extractor.pos_embed")
    with pytest.raises(WeightsError, match=r"1 missing \(vfeat_extractor\.pos_embed\)"):
        synchformer_in(WeightFile(file.path, tensors), config)
