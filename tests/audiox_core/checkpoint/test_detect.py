"""Which model a file holds: header, tensors, config.json, names, probe, and the user's word."""

import json
from pathlib import Path

import pytest
import torch

from audiox_core.checkpoint.detect import detect, fitting
from audiox_core.checkpoint.layout import released_layout
from audiox_core.checkpoint.weight_file import Stored, WeightFile
from audiox_core.errors import WeightsError
from audiox_core.variants import AMBIGUOUS_VARIANTS, VARIANTS


def file_of(variant, name="model.ckpt", header=None):
    layout = released_layout(VARIANTS[variant])
    tensors = {key: Stored(shape, torch.float32) for key, shape in layout.items()}
    return WeightFile(Path("somewhere", name), tensors, header or {})


@pytest.mark.parametrize("variant", ["audiox", "audiox-maf"])
def test_tensors_alone_tell_v1_and_maf(variant):
    assert fitting(file_of(variant)) == (variant,)
    config, source = detect(file_of(variant))
    assert (config, source) == (
        VARIANTS[variant], f"the tensors' shapes, the preset of {variant}",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("name", "variant"),
    [
        ("audiox_turbo.ckpt", "audiox-turbo"),
        ("pretrained_ckpt.ckpt", "audiox-base"),
        ("AudioX-MAF-MMDiT.safetensors", "audiox-maf-mmdit"),
    ],
)
def test_the_name_tells_the_ambiguous_variants_apart(name, variant):
    config, source = detect(file_of("audiox-turbo", name))
    assert config == VARIANTS[variant]
    assert "the file's name" in source


@pytest.mark.parametrize(
    ("objective", "left"),
    [("v", ["audiox-maf-mmdit"]), ("rectified_flow", ["audiox-base", "audiox-turbo"])],
)
def test_the_probe_is_asked_last_and_leaves_the_variants_of_its_objective(objective, left):
    asked = []

    def probe(config):
        asked.append(config.dit)
        return objective

    file = file_of("audiox-turbo")
    if len(left) == 1:
        assert detect(file, probe=probe)[0] == VARIANTS[left[0]]
    else:
        with pytest.raises(WeightsError, match=f"may be {' or '.join(left)}"):
            detect(file, probe=probe)
    assert asked == [VARIANTS["audiox-turbo"].dit]
    assert detect(file, variant="audiox-turbo", probe=probe)[0] == VARIANTS["audiox-turbo"]
    assert len(asked) == 1  # not needed where the user names the variant


def test_without_any_hint_all_ambiguous_variants_are_named():
    with pytest.raises(WeightsError, match=f"may be {' or '.join(sorted(AMBIGUOUS_VARIANTS))}"):
        detect(file_of("audiox-turbo"))


@pytest.mark.parametrize(
    ("variant", "message"),
    [
        ("audiox-turbo", "but its header says audiox"),
        ("music", "--variant is music"),
    ],
)
def test_a_variant_that_the_header_contradicts_is_refused(variant, message):
    file = file_of("audiox", header={"audiox": VARIANTS["audiox"].to_json()})
    assert detect(file, variant="audiox")[1] == "the file's header"
    with pytest.raises(WeightsError, match=message):
        detect(file, variant=variant)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"dit": {"depth": 25}}, "dit.depth is 25, but the tensors have 24"),
        ({"dit": {"depth": 999}}, "dit.depth is 999, but the tensors have 24"),
        ({"dit": {"width": 768}}, "dit.width is 768, but the tensors have 1536"),
        ({"dit": {"time_frequencies": 64}}, "dit.time_frequencies is 64, but the tensors have 128"),
        ({"vae": {"channels": 64}}, "vae.channels is 64, but the tensors have 128"),
        ({"vae": {"strides": [2, 4, 4, 8, 4]}}, r"vae.strides is \(2, 4, 4, 8, 4\)"),
        ({"latent": {"channels": 32}}, "latent.channels is 32, but the tensors have 64"),
        ({"latent": {"hop_length": 2049}}, "latent.hop_length is 2049, but the tensors have 2048"),
        ({"video": {"frames": 51}}, "video.frames is 51, but the tensors have 50"),
        ({"video": {"clip": {"depth": 13}}}, "video.clip.depth is 13, but the tensors have 12"),
        ({"audio_tokens": 999}, "audio_tokens is 999, but the tensors have 215"),
        ({"dit": {"depth": 9_999_999}}, "written by another version .*depth is 9999999"),
        ({"dit": {"width": "1536"}}, "written by another version .*expected int"),
        ({"dit": [1]}, "written by another version"),
        ({"latent": None}, "written by another version"),
    ],
)
def test_a_header_that_contradicts_the_tensors_is_refused(change, message):
    def changed(table, change):
        inner = {
            k: changed(table[k] or {}, v) if isinstance(v, dict) else v for k, v in change.items()
        }
        return {**table, **inner}

    said = changed(json.loads(VARIANTS["audiox"].to_json()), change)
    with pytest.raises(WeightsError, match=message):
        detect(file_of("audiox", header={"audiox": json.dumps(said)}))


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_header_with_the_sizes_of_the_tensors_is_believed(variant):
    header = {"audiox": VARIANTS[variant].to_json()}
    assert detect(file_of(variant, header=header))[0] == VARIANTS[variant]


def test_an_unknown_variant_is_refused():
    with pytest.raises(WeightsError, match="Unknown variant 'music': choose one of audiox, "):
        detect(file_of("audiox"), variant="music")


def test_a_file_with_an_empty_tensor_is_refused():
    file = file_of("audiox")
    tensors = {**file.tensors, "x": Stored((0, 3), torch.float32)}
    with pytest.raises(WeightsError, match="has an empty tensor 'x'"):
        detect(WeightFile(file.path, tensors))


@pytest.mark.parametrize("text", ["{", "[]", '{"model": 1}', '{"sample_rate": "fast"}'])
def test_a_config_json_that_cannot_be_read_is_refused(tmp_path, text):
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(WeightsError, match=r"is not a config\.json of an AudioX release"):
        detect(file_of("audiox"), tmp_path / "config.json")


@pytest.mark.parametrize(("variant", "head_dim"), [("audiox", 1_536 // 12), ("audiox-turbo", 12)])
def test_num_heads_of_config_json_is_the_width_of_a_head_in_an_mmdit(tmp_path, variant, head_dim):
    content = {"model": {"diffusion": {"config": {"num_heads": 12}}}}
    (tmp_path / "config.json").write_text(json.dumps(content))
    file = file_of(variant, f"{variant}.ckpt")
    assert detect(file, tmp_path / "config.json")[0].dit.head_dim == head_dim
