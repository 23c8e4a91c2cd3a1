"""Released files under their one name: listed, found, and refused before a run if missing."""

import importlib

import pytest
import torch
from safetensors.torch import load_file, save_file

from audiox_core.hub.models import FILES, MODELS, files_of


@pytest.fixture
def models(comfy, pack, tmp_path, monkeypatch):
    """An empty `models` folder, the only one that ComfyUI has for our kinds of files."""
    files = importlib.import_module(f"{pack.__name__}.nodes.bridge.files")
    kinds = comfy.folder_paths.folder_names_and_paths
    for kind in {kind for part in files.PARTS.values() for kind in part}:
        suffixes = kinds[kind][1]
        monkeypatch.setitem(kinds, kind, ([str(tmp_path / "models" / kind)], suffixes))
    comfy.folder_paths.filename_list_cache.clear()

    def touch(name):
        path = tmp_path / "models" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        comfy.folder_paths.filename_list_cache.clear()
        return path

    touch.folder, touch.find = tmp_path / "models", files.file_path
    yield touch
    comfy.folder_paths.filename_list_cache.clear()


def options(node, name, widget):
    sockets = node.classes[name].define_schema().inputs
    return next(socket.options for socket in sockets if socket.id == widget)


def test_without_files_only_the_embedded_model_and_auto_are_listed(node, models):
    assert options(node, "AudioXLoadCheckpoint", "file") == ["embedded"]
    for widget in ("vae_file", "synchformer_file", "text_encoder_file"):
        assert options(node, "AudioXLoadCheckpoint", widget) == ["auto"]


@pytest.mark.parametrize("name", FILES)
def test_a_fetched_file_is_listed_and_found_under_its_flat_name(node, models, name):
    file = FILES[name]
    path = models(f"{file.model.folder}/{file.path.name}")
    listed = options(node, "AudioXLoadCheckpoint", file.part)
    assert listed[1:] == [name]
    assert models.find(file.part, name) == path


def test_a_flat_file_is_listed_by_the_widget_of_its_part_only(node, models):
    for name, file in FILES.items():
        models(f"{file.directory}/{name}")
    models("audiox/mine.safetensors")
    listed = {w: options(node, "AudioXLoadCheckpoint", w) for w in files_of("audiox-turbo")}
    for widget, names in listed.items():
        known = [name for name, file in FILES.items() if file.part == widget]
        mine = ["mine.safetensors"] * (widget in ("file", "vae_file"))
        assert names[1:] == [*known, *mine]
    both = options(node, "AudioXLoadVAE", "file")
    assert {"audiox_turbo.ckpt", "audiox_vae.ckpt", "mine.safetensors"} < {*both}


@pytest.mark.parametrize("written", ["audiox-turbo\\audiox_turbo.ckpt", "sub\\mine.safetensors"])
def test_a_path_from_windows_is_found(models, written):
    path = models(f"audiox/{written}".replace("\\", "/"))
    assert models.find("file", written) == path


def prompt_of(**widgets):
    inputs = {"file": "embedded", "weight_dtype": "default", **widgets}
    load = {"class_type": "AudioXLoadCheckpoint", "inputs": inputs}
    decode = {
        "class_type": "AudioXDecode",
        "inputs": {"vae": ["1", 2], "latent": ["2", 0], "level": "keep", "lufs": -16.0,
                   "trim": True, "paste_back": True},
    }  # fmt: skip
    empty = {"class_type": "AudioXEmptyLatent", "inputs": {"seconds": 1.0, "batch_size": 1}}
    save = {"class_type": "PreviewAudio", "inputs": {"audio": ["3", 0]}}
    return {"1": load, "2": empty, "3": decode, "4": save}


def validated(comfy, prompt):
    asked = comfy.execution.validate_prompt("a run", prompt, None)
    valid, _, _, errors = comfy.loop.run_until_complete(asked)
    return valid, " ".join(e["details"] for n in errors.values() for e in n["errors"])


def test_installed_files_pass_the_validation_by_either_host(comfy, node, models):
    for name, file in FILES.items():
        models(f"{file.directory}/{name}")
    chosen = {part: file.name for part, file in files_of("audiox-turbo").items()}
    assert validated(comfy, prompt_of(**chosen)) == (True, "")
    windows = prompt_of(file="audiox\\model.ckpt")
    models("audiox/audiox/model.ckpt")
    assert validated(comfy, windows) == (True, "")


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_fails_before_the_run_with_size_folder_link_and_command(
    comfy, node, models, name
):
    file = FILES[name]
    valid, text = validated(comfy, prompt_of(**{file.part: name}))
    folder = models.folder / file.directory
    assert not valid
    for words in (
        f"{name} ({file.size / 1e9:.1f} GB) is not in {folder}",
        file.url,
        f"`python -m audiox_core fetch {file.model.short} --dir {models.folder}` in the pack's",
        "press R",
    ):
        assert words in text
    assert ("a browser calls it" in text) == (file.saved_as != name)


@pytest.mark.parametrize("value", [None, "", 5])
def test_a_widget_without_a_name_is_refused(models, value):
    with pytest.raises(Exception, match="No file is selected in file: select one"):
        models.find("file", value)


def test_parts_that_are_saved_under_one_name_are_found_by_the_loader_of_each(models):
    saved = {kind: models(f"{kind}/audiox_00001_.safetensors")
             for kind in ("checkpoints", "diffusion_models", "vae")}  # fmt: skip
    name = "audiox_00001_.safetensors"
    assert models.find("file", name) == saved["checkpoints"]
    assert models.find("vae_file", name) == saved["vae"]
    for kind, path in saved.items():
        assert models.find("file", name, kind) == path


def test_an_unknown_file_fails_before_the_run_with_its_folder(comfy, node, models):
    valid, text = validated(comfy, prompt_of(file="someones.safetensors"))
    assert not valid
    assert f"someones.safetensors is not in {models.folder / 'audiox'}" in text


def test_a_text_encoder_from_the_dialog_has_comfyuis_tokenizer(node, models, toys):
    """The dialog downloads no tokenizer.json; the file has the vocabulary of T5-base."""
    toys.release("audiox-maf", models.folder)
    t5 = models.folder / MODELS["t5-base"].folder
    state = load_file(t5 / "model.safetensors")
    state["shared.weight"] = torch.randn(32_128, state["shared.weight"].shape[1])
    for file in t5.iterdir():
        file.unlink()
    save_file(state, models("text_encoders/t5-base.safetensors"))
    chosen = {part: file.name for part, file in files_of("audiox-maf").items()}
    _, named, _ = node("AudioXLoadCheckpoint", **chosen)
    _, found, _ = node("AudioXLoadCheckpoint", file=chosen["file"])
    encoded = [
        node("AudioXEncodeText", conditioners=conditioners, text=text)[0][0]
        for conditioners, text in ((named, "rain"), (found, "rain"), (found, "snow"))
    ]
    assert torch.equal(encoded[0], encoded[1])
    assert not torch.equal(encoded[0], encoded[2])
