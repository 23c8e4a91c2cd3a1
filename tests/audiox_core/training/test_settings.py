from pathlib import Path

import pytest

from audiox_core.errors import SettingsError
from audiox_core.training.settings import parse_assignment, read_settings


def written(folder: Path, text: str) -> Path:
    path = folder / "settings.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_assignments_override_the_file(tmp_path):
    path = written(tmp_path, "[optim]\nlr = 1\nbatch = 3\n[model.dit]\nwidth = 768\n")
    config = read_settings(path, [("optim.batch", 4), ("masks.sound", [0.1, 0.2])])
    assert (config.optim.lr, config.optim.batch) == (1.0, 4)
    assert config.model.dit.width == 768
    assert config.masks.sound == (0.1, 0.2)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[optim]\nlearning_rate = 1", r"'optim\.learning_rate'.*Known settings: .*lr"),
        ("[optim]\nbatchs = 1", r"did you mean 'batch'\?"),
        ("[modle]", r"did you mean 'model'\?"),
        ("[model.dit]\nwidht = 64", r"'model\.dit\.widht'.*did you mean 'width'"),
        ("[optim]\nbatch = 'many'", r"optim\.batch is 'many': it must be an integer"),
        ("[optim]\nbetas = [0.9]", r"optim\.betas is \[0\.9\]: write 2 numbers"),
        ("[diffusion]\ntrain_clip = 1", r"diffusion\.train_clip is 1: it must be true or false"),
        ("optim = 3", r"optim is 3: expected a section"),
        ("[optim]\nprecision = 'fp8'", r"optim\.precision is 'fp8': choose one of fp32"),
        ("[run]\nsteps = 0", r"run\.steps is 0"),
        ("[model.dit]\nwidth = 100", r"\[model\] is not a model"),
        ("[model.vae]\nstrides = [4, 8]", r"\[model\] is not a model.*strides"),
        ("[optim", r"cannot be read"),
    ],
)
def test_a_wrong_setting_names_the_accepted_values(tmp_path, text, said):
    with pytest.raises(SettingsError, match=said):
        read_settings(written(tmp_path, text))


def test_a_missing_settings_file_is_an_error(tmp_path):
    with pytest.raises(SettingsError, match="cannot be read"):
        read_settings(tmp_path / "none.toml")


@pytest.mark.parametrize(
    ("text", "name", "value"),
    [
        ("optim.lr=1e-4", "optim.lr", 1e-4),
        ("optim.betas=[0.9, 0.99]", "optim.betas", [0.9, 0.99]),
        ("data.media=/a folder", "data.media", "/a folder"),
    ],
)
def test_an_assignment_is_read_as_a_value(text, name, value):
    assert parse_assignment(text) == (name, value)


@pytest.mark.parametrize("text", ["lr", "lr=3", "=3"])
def test_an_assignment_without_a_value_is_refused(text):
    with pytest.raises(SettingsError, match="is not a setting"):
        parse_assignment(text)
