"""Released files to one safetensors: the same numbers, one VAE, whole or not at all."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from audiox_core import open_checkpoint
from audiox_core.checkpoint import write
from audiox_core.checkpoint.checkpoint_file import EMBEDDED
from audiox_core.checkpoint.convert import STORED_DTYPES, convert
from audiox_core.checkpoint.layout import AUDIO_VAE, DIT, VAE
from audiox_core.checkpoint.scaled_float8 import SCALED_FLOAT8
from audiox_core.checkpoint.sizes import config_from_shapes
from audiox_core.checkpoint.weight_file import open_weights
from audiox_core.config import AudioXConfig
from audiox_core.errors import SettingsError, WeightsError

ROOT = Path(__file__).parents[3]


def vae_file(state, path, change=0.0):
    """The bare VAE as a release names it."""
    vae = {n.removeprefix(VAE): t + change for n, t in state.items() if n.startswith(VAE)}
    torch.save({"state_dict": vae}, path)
    return path


def test_float32_is_the_same_bit_for_bit_and_has_one_vae(released_file, state, tmp_path):
    made = convert([released_file()], tmp_path / "out.safetensors")
    found = load_file(tmp_path / "out.safetensors")
    assert made.vae_copies == "two equal, one kept"
    assert not any(name.startswith(AUDIO_VAE) for name in found)
    assert found.keys() == {n for n in state if not n.startswith((AUDIO_VAE, "text_encoder."))}
    assert all(torch.equal(found[name], state[name]) for name in found)


def test_the_header_of_a_converted_file_has_variant_and_sizes(released_file, tmp_path):
    path = released_file()
    convert([path], tmp_path / "out.safetensors")
    with safe_open(tmp_path / "out.safetensors", "pt") as file:
        config = AudioXConfig.from_json(file.metadata()["audiox"])
    assert config == config_from_shapes(open_weights(path).shapes, AudioXConfig())


def test_tensors_are_aligned_to_the_size_of_their_dtype(released_file, tmp_path):
    convert([released_file()], tmp_path / "out.safetensors", dtype=torch.float16)
    tensors = open_weights(tmp_path / "out.safetensors").tensors.values()
    assert all(stored.offset % stored.dtype.itemsize == 0 for stored in tensors)
    assert min(stored.offset for stored in tensors) % write.ALIGNMENT == 0


@pytest.mark.parametrize("part", ["backbone", "vae"])
def test_the_result_loads_to_the_same_numbers(released_file, tmp_path, part):
    path = released_file()
    convert([path], tmp_path / "out.safetensors")
    loaded, original = (
        getattr(open_checkpoint(p), f"load_{part}")().state_dict()
        for p in (tmp_path / "out.safetensors", path)
    )
    assert all(torch.equal(loaded[name], original[name]) for name in original)


@pytest.mark.parametrize("name", [name for name in STORED_DTYPES if name != SCALED_FLOAT8])
def test_matrices_are_cast_and_small_tensors_stay_float32(released_file, state, tmp_path, name):
    out = tmp_path / "out.safetensors"
    convert([released_file()], out, dtype=STORED_DTYPES[name])
    found = load_file(out)
    matrix = f"{DIT}transformer.layers.0.ff.ff.2.weight"
    assert torch.equal(found[matrix].float(), state[matrix].to(STORED_DTYPES[name]).float())
    for small in ("pre_norm.gamma", "timestep_features.weight", "weight_g", "empty_audio_feat"):
        dtypes = {tensor.dtype for n, tensor in found.items() if n.endswith(small)}
        assert dtypes == {torch.float32}
    conv = found[f"{VAE}decoder.layers.0.weight_v"].dtype
    assert conv == (torch.float16 if "float8" in name else STORED_DTYPES[name])
    file = open_checkpoint(out)
    for module in (file.load_backbone(), file.load_vae()):
        assert {weight.dtype for weight in module.parameters()} == {torch.float32}


def test_a_number_that_does_not_fit_is_refused(released_file, tmp_path):
    name = f"{DIT}to_cond_embed.0.weight"
    path = released_file(**{name: torch.full((64, 64), 1e5)})
    with pytest.raises(WeightsError, match=r"to_cond_embed.* 1e\+05.*float16 is 6.55e\+04"):
        convert([path], tmp_path / "out.safetensors", dtype=torch.float16)
    assert [p.name for p in tmp_path.iterdir()] == ["model.ckpt"]


MATRIX = f"{DIT}transformer.layers.0.self_attn.to_qkv.weight"
IDS = "conditioner.conditioners.video_prompt.visual_encoder_model.vision_model.embeddings."


def of_dtype(tensor, name):
    dtype = getattr(torch, name, None)
    if dtype is None:
        pytest.skip("this torch does not have it")
    if name.startswith("q"):
        return torch.quantize_per_tensor(tensor.float(), 0.1, 0, dtype)
    if name in ("bits8", "float4_e2m1fn_x2"):  # only views
        return torch.zeros(tensor.shape, dtype=torch.uint8).view(dtype)
    return tensor.to(dtype)


@pytest.mark.parametrize("target", [None, torch.float16, torch.float8_e4m3fn])
@pytest.mark.parametrize(
    "stored",
    ["float64", "bfloat16", "float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz", "float8_e5m2fnuz"],
)
def test_every_floating_point_type_is_converted(released_file, state, tmp_path, stored, target):
    matrix = of_dtype(state[MATRIX], stored)
    out = convert([released_file(**{MATRIX: matrix})], tmp_path / "o.safetensors", dtype=target)
    loaded = open_checkpoint(out.path).load_backbone().state_dict()[MATRIX.removeprefix(DIT)]
    exact = matrix.float() if target is None else matrix.float().to(target).float()
    assert torch.equal(loaded, exact)


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("target", [None, torch.bfloat16])
@pytest.mark.parametrize(
    "stored",
    ["uint8", "int8", "bool", "int64", "uint16", "complex64", "bits8", "qint8", "float4_e2m1fn_x2"],
)
def test_numbers_that_are_no_weights_are_one_line(released_file, state, tmp_path, stored, target):
    path = released_file(**{MATRIX: of_dtype(state[MATRIX], stored)})
    with pytest.raises(WeightsError, match=rf"model\.ckpt .*(to_qkv|{stored})"):
        convert([path], tmp_path / "out.safetensors", dtype=target)
    assert [p.name for p in tmp_path.iterdir()] == ["model.ckpt"]


@pytest.mark.parametrize("stored", ["int64", "int32", "uint16", "complex64"])
def test_tensors_that_are_not_used_are_kept_where_the_format_can(released_file, tmp_path, stored):
    ids = torch.arange(17).to(getattr(torch, stored))[None]
    path = released_file(**{f"{IDS}position_ids": ids})
    if stored.startswith("int"):
        found = load_file(convert([path], tmp_path / "out.safetensors").path)
        assert torch.equal(found[f"{IDS}position_ids"], ids)
    else:
        with pytest.raises(WeightsError, match=f"position_ids' as {stored}"):
            convert([path], tmp_path / "out.safetensors")


def test_numbers_that_are_not_finite_are_not_converted(released_file, state, tmp_path):
    path = released_file(**{MATRIX: state[MATRIX] * torch.nan})
    with pytest.raises(WeightsError, match=r"has NaN or infinite values in .*to_qkv"):
        convert([path], tmp_path / "out.safetensors")
    assert [p.name for p in tmp_path.iterdir()] == ["model.ckpt"]


def test_an_equal_vae_from_a_second_file_is_stored_once(released_file, state, tmp_path):
    vae = vae_file(state, tmp_path / "VAE.ckpt")
    made = convert([released_file(), vae], tmp_path / "out.safetensors")
    assert made.vae_copies == "two equal, one kept"
    assert not open_weights(made.path).below(AUDIO_VAE)


@pytest.mark.parametrize("order", [1, -1])
def test_a_different_vae_decodes_and_audio_prompts_keep_the_models_own(
    released_file, state, tmp_path, order
):
    vae = vae_file(state, tmp_path / "VAE.ckpt", change=1.0)
    made = convert([released_file(), vae][::order], tmp_path / "out.safetensors")
    found, name = load_file(made.path), "decoder.layers.0.bias"
    assert made.vae_copies == "two that differ, both kept"
    assert torch.equal(found[VAE + name], state[VAE + name] + 1)
    assert torch.equal(found[AUDIO_VAE + name], state[VAE + name])


@pytest.mark.parametrize("vae_record", [{"steps": 3}, None])
def test_the_training_record_names_the_vae_that_replaces_the_models_own(tmp_path, vae_record):
    ours = EMBEDDED, tmp_path / "vae.safetensors", tmp_path / "out.safetensors"
    with safe_open(EMBEDDED, "pt") as file:
        names = [name for name in file.keys() if name.startswith(VAE)]  # noqa: SIM118
        vae = {name.removeprefix(VAE): 2 * file.get_tensor(name) for name in names}
    save_file(vae, ours[1], {"trained": json.dumps(vae_record)} if vae_record else None)
    convert(ours[:2], ours[2])
    before, after = (json.loads(open_weights(ours[i]).header["trained"]) for i in (0, 2))
    assert after.pop("decoder") == (vae_record or {})
    assert after == before


def test_two_different_vaes_in_one_file_are_both_kept(released_file, tmp_path):
    path = released_file(**{f"{AUDIO_VAE}decoder.layers.0.bias": torch.ones(128)})
    made = convert([path], tmp_path / "out.safetensors")
    assert made.vae_copies == "two that differ, both kept"
    assert open_weights(made.path).below(AUDIO_VAE)


def test_a_model_without_a_vae_takes_the_one_beside_it(released_file, state, tmp_path):
    none = dict.fromkeys([n for n in state if n.startswith((VAE, AUDIO_VAE))])
    vae = vae_file(state, tmp_path / "VAE.ckpt")
    made = convert([released_file(**none), vae], tmp_path / "out.safetensors")
    assert made.vae_copies == "one"
    assert open_checkpoint(made.path).load_vae().config.latent_channels == 64


def test_a_converted_file_converts_again_to_itself(released_file, tmp_path):
    first = convert([released_file()], tmp_path / "one.safetensors").path
    again = convert([first], tmp_path / "two.safetensors").path
    assert first.read_bytes() == again.read_bytes()


def test_a_text_encoder_in_the_file_is_converted_with_it(tmp_path, toy_checkpoint):
    made = convert([toy_checkpoint.path], tmp_path / "out.safetensors", dtype=torch.bfloat16)
    assert open_checkpoint(made.path).config == toy_checkpoint.config


def test_the_input_is_not_overwritten(released_file, tmp_path):
    path = convert([released_file()], tmp_path / "out.safetensors").path
    before = path.read_bytes()
    with pytest.raises(SettingsError, match="is also an input"):
        convert([path], tmp_path / "." / "out.safetensors", dtype=torch.float16)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("inputs", "output", "message"),
    [
        (["model.ckpt"], "out.ckpt", r"use \.safetensors"),
        (["model.ckpt"], "nowhere/out.safetensors", "does not exist"),
        (["model.ckpt", "model.ckpt"], "out.safetensors", "Two complete models"),
        (["model.ckpt"] * 3, "out.safetensors", "3 files were given"),
        (["other.safetensors"], "out.safetensors", "is not an AudioX model"),
        (["model.ckpt", "other.safetensors"], "out.safetensors", "contains no AudioX VAE"),
        (["missing.ckpt"], "out.safetensors", "There is no weights file"),
    ],
)
def test_a_failed_conversion_leaves_no_file(released_file, tmp_path, inputs, output, message):
    released_file()
    save_file({"x": torch.zeros(1)}, tmp_path / "other.safetensors")
    before = sorted(tmp_path.iterdir())
    with pytest.raises((WeightsError, SettingsError), match=message):
        convert([tmp_path / name for name in inputs], tmp_path / output)
    assert sorted(tmp_path.iterdir()) == before


def test_too_little_disk_space_is_reported_before_the_first_byte(
    released_file, tmp_path, monkeypatch
):
    path = released_file()

    class Usage:
        free = 1000

    monkeypatch.setattr(write.shutil, "disk_usage", lambda folder: Usage)
    with pytest.raises(WeightsError, match=r"needs 0\.01 GB.* 0\.00 GB free"):
        convert([path], tmp_path / "out.safetensors")
    assert [p.name for p in tmp_path.iterdir()] == ["model.ckpt"]


def test_a_full_disk_leaves_no_file(released_file, tmp_path, monkeypatch):
    folder = tmp_path / "tiny"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=512k", "none", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("a small file system cannot be mounted here (no rights)")
    monkeypatch.setattr(write, "_check_room", lambda path, size: None)
    try:
        with pytest.raises(WeightsError, match=r"cannot be written \(No space left"):
            convert([released_file()], folder / "out.safetensors")
        assert not list(folder.iterdir())
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def test_a_killed_conversion_leaves_no_file_and_the_next_one_removes_its_part(
    released_file, tmp_path
):
    path, out = released_file(), tmp_path / "out.safetensors"
    slow = (
        "import sys, time\nfrom audiox_core.checkpoint.convert import convert\n"
        "convert([sys.argv[1]], sys.argv[2], on_tensor=lambda stored: time.sleep(0.05))"
    )
    run = subprocess.Popen([sys.executable, "-c", slow, str(path), str(out)], cwd=ROOT)
    part = tmp_path / ".out.safetensors.part"
    while not (part.exists() and part.stat().st_size > 1 << 20):
        assert run.poll() is None
        time.sleep(0.02)
    os.kill(run.pid, signal.SIGKILL)
    run.wait()
    assert not out.exists()
    assert part.exists()
    convert([path], out)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["model.ckpt", "out.safetensors"]
    assert open_checkpoint(out).load_vae().config.latent_channels == 64
