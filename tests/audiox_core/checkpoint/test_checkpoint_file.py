"""Opening and loading checkpoints in the released layout, at toy size."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from audiox_core import load_checkpoint, open_checkpoint
from audiox_core.checkpoint.checkpoint_file import EMBEDDED
from audiox_core.checkpoint.inspect import inspect
from audiox_core.checkpoint.layout import DIT, text_layout
from audiox_core.checkpoint.objective_probe import noise_share
from audiox_core.checkpoint.part_files import open_vae
from audiox_core.checkpoint.weight_file import WeightFile, open_weights
from audiox_core.conditioners.missing_module import MissingModule
from audiox_core.config import AudioXConfig
from audiox_core.errors import WeightsError
from audiox_core.hub.models import MODELS
from audiox_core.training.settings import read_settings

PROMPT_VAE = "conditioner.conditioners.audio_prompt.pretransform.model."
VAE = "pretransform.model."


@pytest.fixture(scope="session")
def header(toys):
    tokenizer = toys.make_tokenizer().to_str()
    return {"audiox": toys.CONFIG.to_json(), "tokenizer": tokenizer}


@pytest.fixture
def save(tmp_path, header):
    def run(state, name="model.safetensors", header=header):
        path = tmp_path / name
        save_file({name: tensor.clone() for name, tensor in state.items()}, path, header)
        return path

    return run


def test_the_embedded_file_records_its_training():
    assert EMBEDDED.stat().st_size < 12e6
    last = json.loads(open_weights(EMBEDDED).header["trained"])
    runs = [*_back(last), *_back(last["before"]["vae"])]
    stages = [run["stage"] for run in runs]
    assert list(dict.fromkeys(stages)) == ["diffusion", "encoders", "vae"]
    for run in runs:
        assert run["steps"] > (500 if run["stage"] == "encoders" else 1_000)
        assert run["command"].startswith(f"python -m audiox_core train {run['stage']}")
        assert {"settings", "seed", "data_hash", "seconds", "machine"} <= run.keys()


def test_the_tensor_bytes_of_the_embedded_file_are_those_that_were_trained():
    data = EMBEDDED.read_bytes()
    length = int.from_bytes(data[:8], "little")
    assert (8 + length) % 64 == 0  # where the first tensor begins
    digest = sha256(data[8 + length :]).hexdigest()
    assert digest == "cbad7b79fc3a14b01c7685d578576d80143cf8273c38e5df3d9a2fe1410db1c3"


def _back(run: dict[str, Any]) -> list[dict[str, Any]]:
    """A run, the one whose weights it began with, and so on."""
    begun = run["before"].get("init")
    return [run, *(_back(begun) if begun else ())]


def test_the_recipe_beside_the_embedded_file_has_its_sizes():
    made = AudioXConfig.from_json(open_weights(EMBEDDED).header["audiox"])
    recipe = read_settings(EMBEDDED.with_suffix(".toml"), []).model
    vocabulary = replace(recipe.text, vocab_size=made.text.vocab_size)  # its captions decide
    assert replace(recipe, text=vocabulary) == made
    assert read_settings(EMBEDDED.with_name("audiox-nano-vae.toml"), []).model.vae == made.vae


def test_a_released_file_and_our_own_load_to_the_same_model(state, save, toy_checkpoint):
    loaded = load_checkpoint(save(state), device="cpu")
    for part in ("backbone", "vae", "conditioners"):
        ours, theirs = (getattr(c, part).state_dict() for c in (loaded, toy_checkpoint))
        assert ours.keys() == theirs.keys()
        assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_equal_copies_of_the_vae_are_shared_and_different_ones_kept(state, save):
    assert open_checkpoint(save(state)).load_conditioners().audio.vae is None
    other = state | {f"{PROMPT_VAE}encoder.layers.0.bias": torch.ones(8)}
    loaded = load_checkpoint(save(other), device="cpu")
    assert torch.equal(loaded.conditioners.audio.vae.encoder.layers[0].bias, torch.ones(8))
    assert not loaded.vae.encoder.layers[0].bias.any()


def test_every_loaded_weight_has_memory(toy_checkpoint):
    parts = (toy_checkpoint.backbone, toy_checkpoint.vae, toy_checkpoint.conditioners)
    tensors = [t for part in parts for t in (*part.parameters(), *part.buffers())]
    assert not any(t.is_meta for t in tensors)
    assert not any(t.requires_grad for t in tensors)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_only_the_backbone_is_loaded_in_the_requested_dtype(dtype):
    loaded = load_checkpoint(dtype=dtype, device="cpu")
    assert loaded.dtype == dtype
    assert loaded.backbone.timestep_features.weight.dtype == torch.float32
    assert {p.dtype for p in loaded.vae.parameters()} == {torch.float32}


def test_with_another_vae_audio_prompts_keep_the_checkpoints_own(state, save):
    bare = {n.removeprefix(VAE): 2 * t for n, t in state.items() if n.startswith(VAE)}
    path = save(bare, "VAE.safetensors", {})
    loaded = load_checkpoint(save(state), vae=path)
    prompt = loaded.conditioners.audio.vae
    assert not torch.equal(loaded.vae.decoder.layers[7].weight, prompt.decoder.layers[7].weight)


def test_missing_unexpected_and_misshapen_tensors_are_listed(state, save):
    broken = dict(state)
    del broken["model.model.transformer.layers.1.ff_norm.gamma"]
    broken["model.model.surprise"] = torch.zeros(1)
    broken["model.model.to_timestep_embed.0.bias"] = torch.zeros(3)
    with pytest.raises(WeightsError) as caught:
        load_checkpoint(save(broken))
    for part in ("1 missing", "layers.1.ff_norm", "1 unexpected", "surprise", "(3,) for (128,)"):
        assert part in str(caught.value)


@pytest.mark.parametrize(
    ("keys", "looks"),
    [
        (["model.diffusion_model.input_blocks.0.0.weight"], "a Stable Diffusion checkpoint"),
        (["unet.lora_down.weight", "x.lora_A.weight"], "a LoRA"),
        (["diffusion.model.x", "diffusion_ema.ema_model.x"], "a raw AudioX training state"),
        (["encoder.block.0.layer.0.SelfAttention.q.weight"], "a T5 text encoder"),
        (["encoder.layers.0.weight_v", "decoder.layers.0.weight_v"], "an audio VAE alone"),
        (["something.else"], "its first tensor is 'something.else'"),
    ],
)
def test_foreign_checkpoints_are_recognised(save, keys, looks):
    path = save({key: torch.zeros(2) for key in keys}, header={})
    with pytest.raises(WeightsError, match=looks):
        load_checkpoint(path)


def test_a_released_file_asks_for_its_text_encoder(state, save, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    released = {n: t for n, t in state.items() if not n.startswith("text_encoder.")}
    with pytest.raises(WeightsError, match=r"audiox_core fetch t5-base`.*tokenizer.*--text-"):
        load_checkpoint(save(released))


def test_a_file_with_a_vae_alone_is_called_so(state, save, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(WeightsError, match=r"an audio VAE alone \(.*--vae"):
        load_checkpoint(save({n: t for n, t in state.items() if n.startswith(VAE)}))


@pytest.fixture
def text_folder(state, tmp_path, header, monkeypatch):
    monkeypatch.chdir(tmp_path)  # `models/` is looked for from here
    folder = tmp_path / "models" / "text_encoders" / "t5-base"
    folder.mkdir(parents=True)
    text = {n.removeprefix("text_encoder."): t for n, t in state.items() if "text_encoder" in n}
    save_file(
        text | {"decoder.block.0.x": torch.zeros(1), "lm_head.weight": torch.zeros(1)},
        folder / "model.safetensors",
    )
    (folder / "tokenizer.json").write_text(header["tokenizer"], encoding="utf-8")
    return folder


@pytest.mark.parametrize("how", ["searched", "folder", "file"])
def test_the_text_encoder_is_found(state, save, text_folder, how):
    released = {n: t for n, t in state.items() if not n.startswith("text_encoder.")}
    argument = {"searched": None, "folder": text_folder, "file": text_folder / "model.safetensors"}
    loaded = open_checkpoint(save(released), text_encoder=argument[how])
    embedding = loaded.load_conditioners().text.encoder.shared.weight
    assert torch.equal(embedding, state["text_encoder.shared.weight"])


@pytest.mark.parametrize("models", ["models", "weights of mine"])
def test_files_from_fetch_are_found(state, save, text_folder, models, monkeypatch):
    home = text_folder.parents[2]
    (home / "elsewhere").mkdir()
    monkeypatch.chdir(home / "elsewhere")  # no `models` here
    (home / "models").rename(home / models)
    folder = home / models / MODELS["audiox"].folder
    folder.mkdir(parents=True)
    released = {n: t for n, t in state.items() if not n.startswith("text_encoder.")}
    save(released).rename(folder / "model.safetensors")
    file = open_checkpoint(folder / "model.safetensors")
    expected = home / models / "text_encoders" / "t5-base" / "model.safetensors"
    assert file.text_encoder.weights.path == expected


def test_a_text_encoder_of_another_width_is_refused(state, save, text_folder, toys):
    layout = text_layout(replace(toys.CONFIG.text, width=32))
    narrow = {name: torch.zeros(shape) for name, shape in layout.items()}
    save_file(narrow, text_folder / "model.safetensors")
    with pytest.raises(WeightsError, match="width 32, but the model expects 64"):
        open_checkpoint(save(state), text_encoder=text_folder)
    released = {n: t for n, t in state.items() if not n.startswith("text_encoder.")}
    found = open_checkpoint(save(released)).load_conditioners()  # not asked for: an error when used
    with pytest.raises(WeightsError, match="width 32, but the model expects 64"):
        found.text.encode(["rain"])


def test_a_text_encoder_without_a_tokenizer_is_refused_where_it_was_named(state, save, text_folder):
    (text_folder / "tokenizer.json").unlink()
    with pytest.raises(WeightsError, match=r"no readable tokenizer in .*tokenizer\.json"):
        load_checkpoint(save(state), text_encoder=text_folder)


def test_a_config_json_beside_the_file_overrides(state, save, tmp_path, toys):
    path = save(state)
    settings = {
        "sample_rate": 22_050,
        "sample_size": 2048 * 120,
        "video_fps": 10,
        "model": {"diffusion": {"config": {"num_heads": 2}}},
    }
    (tmp_path / "config.json").write_text(json.dumps(settings), encoding="utf-8")
    config = open_checkpoint(path).config
    assert (config.latent.sample_rate, config.latent.window) == (22_050, 120)
    assert (config.video.fps, config.dit.head_dim) == (10, 64)


def test_a_header_of_another_version_is_refused(state, save):
    with pytest.raises(WeightsError, match="written by another version"):
        load_checkpoint(save(state, header={"audiox": '{"unheard_of": 1}'}))


@pytest.fixture
def was_read(monkeypatch):
    """The names of all tensors whose numbers were read."""
    names = set()
    read, copy = WeightFile.read, WeightFile.copy
    monkeypatch.setattr(WeightFile, "read", lambda f, n: names.update(n) or read(f, n))
    monkeypatch.setattr(WeightFile, "copy", lambda f, n: names.add(n) or copy(f, n))
    return names


@pytest.fixture(params=["safetensors", "ckpt"])
def in_parts(request, state, header, save, tmp_path):
    """The arguments of `open_checkpoint` for a file of each kind."""
    if request.param == "safetensors":
        return {"path": save(state)}
    path = tmp_path / "model.ckpt"
    released = {n: t for n, t in state.items() if not n.startswith("text_encoder.")}
    torch.save({"state_dict": released}, path)
    return {"path": path, "text_encoder": save_text(state, header, tmp_path)}


@pytest.mark.parametrize(
    ("part", "prefixes"),
    [
        ("vae", (VAE,)),
        ("backbone", ("model.model.",)),
        ("conditioners", ("conditioner.", "text_encoder.", VAE)),  # compares the VAE's two copies
    ],
)
def test_loading_a_part_reads_no_other_part(in_parts, was_read, part, prefixes):
    file = open_checkpoint(**in_parts)
    assert was_read == set()
    getattr(file, f"load_{part}")()
    text = ("encoder.block", "encoder.final_layer_norm", "shared.weight")
    assert not [name for name in was_read if not name.startswith((*prefixes, *text))]
    assert any(name.startswith(prefixes[0]) for name in was_read)


def save_text(state, header, folder):
    """The toy's text encoder as a file of its own."""
    text = {n.removeprefix("text_encoder."): t for n, t in state.items() if "text_encoder" in n}
    save_file(text, folder / "t5.safetensors")
    (folder / "tokenizer.json").write_text(header["tokenizer"], encoding="utf-8")
    return folder / "t5.safetensors"


def test_the_other_parts_of_a_broken_file_load(state, save):
    broken = {n: t for n, t in state.items() if not n.startswith("model.model.to_cond_embed")}
    file = open_checkpoint(save(broken))
    assert torch.equal(file.load_vae().decoder.layers[0].bias, torch.zeros(128))
    with pytest.raises(WeightsError, match="2 missing"):
        file.load_backbone()


LACKING = {"backbone": "only the transformer", "conditioners": "not a complete AudioX model"}
PARTS = {"backbone": ("model.model.",), "conditioners": ("conditioner.", "text_encoder.")}


@pytest.mark.parametrize("part", PARTS)
def test_a_file_with_one_part_alone_loads_that_part(state, save, part):
    file = open_checkpoint(save({n: t for n, t in state.items() if n.startswith(PARTS[part])}))
    assert getattr(file, f"load_{part}")().state_dict()
    with pytest.raises(WeightsError, match="contains no VAE, and none was found beside it"):
        file.load_vae()
    for other in PARTS.keys() - {part}:
        with pytest.raises(WeightsError, match=LACKING[part]):
            getattr(file, f"load_{other}")()


def test_a_vae_alone_loads_with_the_latents_of_its_header(state, save, toys):
    bare = {n.removeprefix(VAE): t for n, t in state.items() if n.startswith(VAE)}
    slow = replace(toys.CONFIG, latent=replace(toys.CONFIG.latent, sample_rate=22_050))
    named = open_vae(save(bare, header={"audiox": slow.to_json()}))
    assert (named.latent, named.sizes) == (slow.latent, slow.vae)
    file = open_vae(save(bare, "VAE.safetensors", {}))
    assert file.latent == toys.CONFIG.latent
    assert torch.equal(file.load().encoder.layers[0].bias, state[f"{VAE}encoder.layers.0.bias"])


def test_the_vae_of_a_renamed_model_is_found_by_the_variant_of_its_header(state, save, toys):
    config = replace(toys.CONFIG, variant="audiox-turbo").to_json()
    model = save({n: t for n, t in state.items() if n.startswith(DIT)}, header={"audiox": config})
    folder = model.parent / "models" / "audiox"
    folder.mkdir(parents=True)
    model = model.rename(folder / "mine.safetensors")
    vae = {n.removeprefix(VAE): t for n, t in state.items() if n.startswith(VAE)}
    torch.save({"state_dict": vae}, folder / "audiox_vae.ckpt")
    assert open_vae(model).weights.path == folder / "audiox_vae.ckpt"
    assert inspect(model).auxiliary_files["VAE"] == str(folder / "audiox_vae.ckpt")


def test_a_missing_text_encoder_is_an_error_where_a_text_is_encoded(released_file, monkeypatch):
    path = released_file()
    monkeypatch.chdir(path.parent)
    file = open_checkpoint(path)
    conditioners = file.load_conditioners()
    assert isinstance(conditioners.text, MissingModule)
    assert list(conditioners.text.parameters()) == []
    with pytest.raises(WeightsError, match=r"T5-base text encoder.*fetch t5-base"):
        conditioners.text.encode(["rain"])


def test_a_text_encoder_without_a_tokenizer_is_not_taken(state, save, text_folder):
    (text_folder / "tokenizer.json").unlink()
    released = {n: t for n, t in state.items() if not n.startswith("text_encoder.")}
    assert isinstance(open_checkpoint(save(released)).text_encoder, MissingModule)


def test_the_folders_of_a_host_are_searched_first(state, save, text_folder, tmp_path, header):
    folder = tmp_path / "host"
    (folder / "t5-base").mkdir(parents=True)
    save_text(state, header, folder / "t5-base").rename(folder / "t5-base" / "model.safetensors")
    released = {n: t for n, t in state.items() if not n.startswith("text_encoder.")}
    file = open_checkpoint(save(released), text_encoder_folders=[folder])
    assert file.text_encoder.weights.path == folder / "t5-base" / "model.safetensors"


def test_an_unknown_tensor_is_an_error_of_the_whole_model(state, save):
    path = save(state | {"surprise": torch.zeros(1)})
    with pytest.raises(WeightsError, match=r"1 unexpected \(surprise\)"):
        load_checkpoint(path)


def test_all_names_are_checked_before_a_tensor_is_read(state, save, was_read):
    path = save({n: t for n, t in state.items() if "to_cond_embed" not in n})
    with pytest.raises(WeightsError, match="2 missing"):
        load_checkpoint(path)
    assert was_read == set()


@pytest.mark.parametrize("stored", [torch.float16, torch.bfloat16, torch.float8_e4m3fn])
def test_files_in_half_precision_load_in_the_requested_dtype(state, save, stored):
    narrow = {n: t.to(stored) if t.ndim > 1 else t for n, t in state.items()}
    loaded = load_checkpoint(save(narrow), dtype=torch.bfloat16, device="cpu")
    assert loaded.dtype == torch.bfloat16
    assert {p.dtype for p in loaded.vae.parameters()} == {torch.float32}
    name = "transformer.layers.0.self_attn.to_qkv.weight"
    expected = state[f"model.model.{name}"].to(stored).to(torch.bfloat16)
    assert torch.equal(loaded.backbone.state_dict()[name], expected)


@pytest.fixture(params=["float16", "float64", "meta"])
def other_default(request):
    """Set a default dtype or device as another pack does; returns what sets it."""

    def apply():
        if request.param == "meta":
            torch.set_default_device("meta")
        else:
            torch.set_default_dtype(getattr(torch, request.param))

    yield apply
    torch.set_default_dtype(torch.float32)
    torch.set_default_device(None)


def attributes(checkpoint):
    """Every tensor of a model: parameters, buffers, and what is only kept on a module."""
    parts = (checkpoint.conditioners, checkpoint.backbone, checkpoint.vae)
    modules = [(f"{i}.{name}", m) for i, p in enumerate(parts) for name, m in p.named_modules()]
    tensors = ((n, {**vars(m), **m._parameters, **m._buffers}) for n, m in modules)
    return {f"{n}.{k}": v for n, a in tensors for k, v in a.items() if isinstance(v, torch.Tensor)}


def test_another_default_dtype_or_device_changes_nothing_that_is_loaded(other_default):
    expected = attributes(load_checkpoint(device="cpu"))
    other_default()
    found = attributes(load_checkpoint(device="cpu"))
    assert found.keys() == expected.keys()
    for name, tensor in expected.items():
        assert (found[name].dtype, found[name].device) == (tensor.dtype, tensor.device)
        assert torch.equal(found[name], tensor)


def test_another_default_dtype_or_device_does_not_change_the_objective_probe(
    toys, tmp_path, other_default
):
    file = open_checkpoint(toys.release("audiox-turbo", tmp_path))
    expected = noise_share(file.weights, file.config)
    other_default()
    assert noise_share(file.weights, file.config) == expected


@pytest.mark.slow
@pytest.mark.parametrize("parts", ["conditioners,backbone,vae", "backbone", "conditioners", "vae"])
def test_loading_takes_at_most_a_fifth_more_memory_than_the_modules(parts, full_size, measure):
    run = measure.measure(measure.LOAD, full_size, parts)
    assert run.code == 0
    assert run.peak <= 1.2 * int(run.output.split()[-1])


def test_loading_a_model_imports_neither_transformers_nor_pytorchs_compiler():
    script = (
        "import sys, audiox_core\n"
        "audiox_core.load_checkpoint(device='cpu')\n"
        "slow = {'transformers', 'torch._dynamo', 'sympy', 'scipy', 'torchvision'}\n"
        "assert not slow & set(sys.modules), slow & set(sys.modules)\n"
    )
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[3])}
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
