"""Released files on this machine: found by their names, and what to do where they are missing."""

from pathlib import Path, PurePosixPath, PureWindowsPath

import pytest

from audiox_core.checkpoint.auxiliary_files import find_config, find_vae
from audiox_core.checkpoint.released_files import (
    RELEASES,
    checkpoint_path,
    fetch_into,
    find_released,
    missing_released,
)
from audiox_core.errors import WeightsError
from audiox_core.hub.models import FILES, MODELS, files_of


@pytest.fixture
def make(tmp_path, monkeypatch):
    """Make an empty file below `models`, in an empty working directory."""
    monkeypatch.chdir(tmp_path)

    def touch(name):
        path = Path("models") / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        return path

    return touch


@pytest.mark.parametrize("name", FILES)
def test_a_file_is_found_flat_and_where_fetch_stores_it(make, name):
    file = FILES[name]
    folders = [Path("models") / file.directory]
    assert find_released(file, folders) is None
    fetched = make(f"{file.model.folder}/{file.path.name}")
    assert find_released(file, folders) == fetched
    flat = make(f"{file.directory}/{name}")
    assert find_released(file, folders) == flat


def test_a_missing_file_is_answered_with_size_folder_link_and_command():
    text = missing_released(FILES["audiox_base.ckpt"], Path("/c/models/audiox"))
    assert text == (
        "audiox_base.ckpt (10.8 GB) is not in /c/models/audiox: download https://huggingface.co/"
        "HKUSTAudio/AudioX-Turbo/resolve/main/pretrained_ckpt/pretrained_ckpt.ckpt and put it there"
        " as audiox_base.ckpt (a browser calls it pretrained_ckpt.ckpt), or run `python -m"
        " audiox_core fetch base --dir /c/models`[[| in the pack's folder, and press R]]."
    )


@pytest.mark.parametrize("variant", RELEASES)
def test_a_checkpoint_may_be_given_by_the_name_of_its_model(make, variant):
    path = make(f"{MODELS[variant].folder}/{files_of(variant)['file'].path.name}")
    for name in (variant, MODELS[variant].short, MODELS[variant].short.upper()):
        assert checkpoint_path(name) == path
    assert checkpoint_path(files_of(variant)["file"].name) == path


@pytest.mark.parametrize(
    ("folder", "written"),
    [
        (PurePosixPath("/home/me/ComfyUI/models"), "/home/me/ComfyUI/models"),
        (PurePosixPath("/Volumes/My Disk/models"), "'/Volumes/My Disk/models'"),
        (PureWindowsPath(r"C:\Users\First Last\models"), r'"C:\Users\First Last\models"'),
        (PurePosixPath("/home/me/a&b (new)/models"), "'/home/me/a&b (new)/models'"),
    ],
)
def test_a_command_quotes_a_folder_that_a_shell_would_take_apart(folder, written):
    assert fetch_into("turbo", folder).endswith(f"fetch turbo --dir {written}")


def test_a_path_is_taken_as_it_is(make):
    for name in ("a/turbo", "turbo.ckpt", "a" * 500, ""):
        assert checkpoint_path(name) == Path(name)


def test_a_file_named_like_a_model_comes_first(make):
    Path("turbo").touch()
    assert checkpoint_path("turbo") == Path("turbo")


def test_a_model_that_is_not_here_is_answered_with_its_command(make):
    with pytest.raises(WeightsError, match=r"audiox_turbo\.ckpt.*`python .* fetch turbo`\."):
        checkpoint_path("turbo")


def test_a_misspelt_model_is_answered_with_the_nearest(make):
    with pytest.raises(WeightsError, match=r"no weights file turbbo\..*did you mean turbo\?"):
        checkpoint_path("turbbo")


def test_two_flat_models_each_find_their_own_vae_and_no_config(make):
    make("audiox/config.json")
    turbo, mmdit = make("audiox/audiox_turbo.ckpt"), make("audiox/audiox_maf_mmdit.ckpt")
    assert find_vae(turbo) is None
    vaes = make("audiox/audiox_vae.ckpt"), make("audiox/audiox_maf_mmdit_vae.ckpt")
    assert (find_vae(turbo), find_vae(mmdit)) == vaes
    assert find_config(turbo) is None


def test_a_flat_model_finds_the_vae_that_fetch_stored(make):
    vae = make("audiox/audiox-turbo/vae.ckpt")
    assert find_vae(make("audiox/audiox_turbo.ckpt")) == vae.absolute()


def test_a_fetched_model_finds_the_flat_vae(make):
    vae = make("audiox/audiox_vae.ckpt")
    assert (
        find_vae(make("audiox/audiox-base/pretrained_ckpt.ckpt"), "audiox-base") == vae.absolute()
    )
