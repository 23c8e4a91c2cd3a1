"""Where auxiliary files are looked for, and the commands that download them."""

from pathlib import Path

import pytest

from audiox_core.checkpoint.auxiliary_files import (
    fetch_again,
    fetch_command,
    find_config,
    find_synchformer,
    find_text_encoder,
    find_vae,
    models_folder,
)


@pytest.fixture
def make(tmp_path, monkeypatch):
    """Make empty files below an empty working directory; the path of the first."""
    monkeypatch.chdir(tmp_path)

    def run(*names):
        for name in names:
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).touch()
        return tmp_path / names[0]

    return run


@pytest.mark.parametrize(
    ("checkpoint", "name", "find"),
    [
        ("a/model.ckpt", "a/vae.ckpt", find_vae),
        ("a/model.ckpt", "a/pretransform/vae.ckpt", find_vae),
        ("a/audiox_turbo/model.ckpt", "a/pretransform/VAE.ckpt", find_vae),
        ("a/model.ckpt", "a/config.json", find_config),
        ("a/audiox_turbo/model.ckpt", "a/config.json", find_config),
        ("a/model.ckpt", "a/synchformer/synchformer_state_dict.pth", find_synchformer),
        ("models/a/model.ckpt", "models/audiox/synchformer_state_dict.pth", find_synchformer),
        ("models/a/model.ckpt", "models/audiox/b/synchformer.safetensors", find_synchformer),
    ],
)
def test_files_are_found_beside_the_checkpoint_and_in_the_folders_of_the_hub(
    make, checkpoint, name, find
):
    path = make(checkpoint)
    assert find(path) is None
    expected = make(name)
    found = find(path)
    assert found is not None
    assert found.absolute() == expected


@pytest.mark.parametrize("find", [find_vae, find_config])
def test_the_folder_above_is_only_searched_in_a_copy_of_a_repository(make, find):
    assert find(make("a/b/model.ckpt", "a/vae.ckpt", "a/config.json")) is None


def test_text_encoders_without_a_tokenizer_are_only_found_on_request(make):
    path = make("a/model.ckpt", "a/t5-base.safetensors")
    assert find_text_encoder(path) is None
    assert find_text_encoder(path, tokenizer=False) == path.with_name("t5-base.safetensors")
    make("models/text_encoders/t5-base/model.safetensors")
    complete = Path("models/text_encoders/t5-base/model.safetensors")
    make("models/text_encoders/t5-base/tokenizer.json")
    assert find_text_encoder(path) == complete


def test_given_folders_are_searched_for_a_text_encoder_first(make):
    path = make("a/model.ckpt", "a/t5-base.safetensors", "a/tokenizer.json")
    given = make("b/t5-base.safetensors", "b/tokenizer.json")
    assert find_text_encoder(path, [given.parent]) == given


def test_the_models_folder_is_known_by_its_name_or_by_its_text_encoders(make):
    assert models_folder(make("models/audiox/a/model.ckpt")).name == "models"
    assert models_folder(make("mine/audiox/a/model.ckpt")) == Path("models")
    make("mine/text_encoders/t5-base/model.safetensors")
    assert models_folder(make("mine/audiox/a/model.ckpt")).name == "mine"


def test_commands_name_the_folder_and_the_model(make):
    path = make("mine/models/audiox/audiox-turbo/audiox_turbo.ckpt")
    command = f"python -m audiox_core fetch audiox-turbo --dir {path.parents[2]}"
    assert fetch_command("audiox-turbo", path) == command
    assert fetch_again(path) == f"`{command}`"
    assert "NAME is one of audiox, " in fetch_again(path.with_name("other.ckpt"))
    assert fetch_command("t5-base", make("a.ckpt")) == "python -m audiox_core fetch t5-base"
