"""A report on any weights file, where loading would raise."""

import pytest
import torch
from safetensors.torch import save_file

from audiox_core.checkpoint.convert import convert
from audiox_core.checkpoint.inspect import inspect
from audiox_core.checkpoint.layout import AUDIO_VAE, DIT, INV_FREQ, VAE
from audiox_core.errors import WeightsError

BETA = f"{DIT}transformer.layers.1.ff_norm.beta"


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # `models/` is looked for from here


def test_a_complete_file_is_reported_as_complete(released_file):
    report = inspect(released_file())
    assert report.complete
    assert (report.variant, report.tensors, report.expected) == ("audiox", 864, 864)
    assert "shapes" in report.decided_by
    assert report.config["dit"]["width"] == 128
    assert [part.name for part in report.parts] == [
        "transformer", "video conditioner", "audio conditioner's VAE", "audio conditioner", "VAE",
    ]  # fmt: skip
    assert sum(part.tensors for part in report.parts) == report.tensors
    assert {dtype for part in report.parts for dtype in part.dtypes} == {"float32"}


def test_wrong_tensors_are_listed_and_not_raised(released_file):
    changes = {
        BETA: None,
        "surprise": torch.zeros(1),
        f"{DIT}to_timestep_embed.0.bias": torch.ones(3),
    }
    report = inspect(released_file(**changes))
    assert not report.complete
    assert report.missing == (BETA,)
    assert report.unexpected == ("surprise",)
    assert report.misshapen == ((f"{DIT}to_timestep_embed.0.bias", (3,), (128,)),)


def test_copies_of_the_vae_are_compared(released_file):
    assert inspect(released_file()).vae_copies == "two, equal bit for bit"
    other = released_file(**{f"{AUDIO_VAE}decoder.layers.0.bias": torch.ones(128)})
    assert inspect(other).vae_copies.startswith("two that differ: 1 of 365 tensors")


def test_betas_of_the_norms_are_checked(released_file):
    assert inspect(released_file()).norm_betas == "all 12 are zero"
    found = inspect(released_file(**{BETA: torch.full((128,), 0.5)})).norm_betas
    assert found == f"1 of 12 are not zero, up to 0.5 in {BETA}"


@pytest.mark.parametrize(("factor", "verdict"), [(1, "exactly"), (1 + 1e-6, "as"), (2, "NOT as")])
def test_rotary_frequencies_are_checked(released_file, state, factor, verdict):
    report = inspect(released_file(**{INV_FREQ: state[INV_FREQ] * factor}))
    assert report.inv_freq.startswith(f"{verdict} ")


def test_other_entries_of_a_pickle_are_listed(state, tmp_path):
    content = {"state_dict": state, "epoch": 3, "optimizer_states": [{}, {}], "name": "run"}
    torch.save(content, tmp_path / "model.ckpt")
    assert inspect(tmp_path / "model.ckpt").other_entries == {
        "epoch": "3", "optimizer_states": "list of 2", "name": "'run'",
    }  # fmt: skip


def test_each_auxiliary_file_is_reported_with_its_path_or_as_missing(released_file, tmp_path):
    path = released_file()
    assert inspect(path).auxiliary_files["T5-base text encoder"] == (
        "MISSING: python -m audiox_core fetch t5-base"
    )
    encoder = tmp_path / "models" / "text_encoders" / "t5-base" / "model.safetensors"
    encoder.parent.mkdir(parents=True)
    encoder.touch()
    (tmp_path / "config.json").write_text("{}")
    found = inspect(path).auxiliary_files
    assert found["T5-base text encoder"].endswith("t5-base/model.safetensors")
    assert found["T5-base tokenizer"].startswith("MISSING")
    assert found["config.json"] == str(tmp_path / "config.json")


def test_deep_inspection_counts_nan_and_inf(released_file):
    bias = torch.zeros(128)
    bias[:3], bias[5] = float("nan"), float("-inf")
    path = released_file(**{f"{VAE}decoder.layers.0.bias": bias})
    assert inspect(path).not_finite is None
    expected = {f"{VAE}decoder.layers.0.bias": "3 NaN, 1 infinite of 128"}
    assert inspect(path, deep=True).not_finite == expected


def test_the_header_of_a_converted_file_is_reported(released_file, tmp_path):
    path = convert([released_file()], tmp_path / "out.safetensors", dtype=torch.float8_e4m3fn).path
    report = inspect(path, deep=True)
    assert report.complete
    assert report.decided_by == "the file's header"
    assert report.vae_copies == "one"
    assert "float8_e4m3fn" in report.parts[0].dtypes
    assert report.not_finite == {}
    assert "audiox" in report.header


MMDIT = ["maf_block.x", f"{DIT}transformer.layers.0.attn.qkv.weight"]


@pytest.mark.parametrize(
    ("names", "what", "variant"),
    [
        (["maf_block.x", f"{DIT}transformer.layers.0.self_attn.to_qkv.weight"], "MAF", "maf"),
        (MMDIT, "AudioX-MAF line", "mmdit"),
        (["shared.weight", "encoder.block.0.x"], "a T5 text encoder", None),
        (["unet.lora_down.weight"], "a LoRA", None),
        (["model.diffusion_model.x"], "a Stable Diffusion checkpoint", None),
        (["encoder.layers.0.weight_v", "decoder.layers.0.weight_v"], "an audio VAE", None),
        (["vfeat_extractor.x"], "a Synchformer", None),
        (["diffusion.model.x", "diffusion_ema.x"], "a raw AudioX training state", None),
        (["x.y"], "something else: its first tensor is 'x.y'", None),
    ],
)
def test_other_files_are_recognised(tmp_path, names, what, variant):
    save_file({name: torch.zeros(2, 2) for name in names}, tmp_path / "x.safetensors")
    report = inspect(tmp_path / "x.safetensors")
    assert what in report.what
    assert not report.complete
    assert (variant in report.variant) if variant else report.variant is None


def test_a_file_that_cannot_be_read_is_an_error(tmp_path):
    (tmp_path / "x.safetensors").write_bytes(b"nonsense")
    with pytest.raises(WeightsError, match="damaged"):
        inspect(tmp_path / "x.safetensors")


@pytest.mark.slow
def test_converting_stays_below_two_gigabytes(full_size, measure, tmp_path):
    out = tmp_path / "out.safetensors"
    run = measure.measure(measure.COMMAND, "convert", full_size, "--output", out)
    assert run.code == 0
    assert run.peak < 2e9
