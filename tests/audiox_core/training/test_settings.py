import os
from pathlib import Path

import pytest

from audiox_core.config import MMDiTConfig
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
        ("[optim]\nbetas = [0.9]", r"optim\.betas is \[0\.9\]: write 2 values"),
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
    with pytest.raises(SettingsError, match="is not a file"):
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


HUGE = "9" * 4_000  # an integer that no float can hold
EXTREMES = {
    "a number that is too large": ("[optim]\nlr = 1e3", r"optim\.lr is 1000: it must be 0 to 10"),
    "infinity": ("[optim]\nlr = inf", r"optim\.lr is inf: it must be 0 to 10"),
    "minus infinity": ("[optim]\nlr = -inf", r"optim\.lr is -inf: it must be 0 to 10"),
    "NaN": ("[masks]\ntext = nan", r"masks\.text is nan: it must be 0 to 1"),
    "a negative count": ("[optim]\nbatch = -1", r"optim\.batch is -1: it must be 1 to 4,096"),
    "zero": ("[lora]\nrank = 0", r"lora\.rank is 0: it must be 1 to 4,096"),
    "a huge integer": (f"[run]\nsteps = {HUGE}", r"run\.steps is 9+…: it must be 1 to"),
    "a huge hexadecimal": (f"[run]\nsteps = 0x{HUGE * 2}", r"run\.steps is too long to show: it"),
    "a huge integer for a float": (f"[optim]\nlr = {HUGE}", r"optim\.lr is 9+…: it must be 0"),
    "more digits than Python reads": ("[run]\nsteps = " + "9" * 9_000, "cannot be read"),
    "digits in a text": (f"[run]\nsteps = '{HUGE * 2}'", r"run\.steps is '9+…: it must be an int"),
    "a date": ("[optim]\nlr = 2026-01-01", r"optim\.lr is .*date.*: it must be a number"),
    "a date in the model": ("[model.dit]\nwidth = 2026-01-01", r"model\.dit\.width is .*an int"),
    "a float for a count": ("[run]\nsteps = 1.5", r"run\.steps is 1\.5: it must be an integer"),
    "an array of mixed types": ("[optim]\nbetas = [0.9, 'x']", r"betas is 'x': it must be a num"),
    "an array of arrays": ("[optim]\nbetas = [[0.9], 0.9]", r"betas is \[0\.9\]: it must be a"),
    "a long array": (f"[vae]\nwindows = {[64] * 101}", r"vae\.windows is .*at most 100 values"),
    "an array for a number": ("[run]\nseed = [1]", r"run\.seed is \[1\]: it must be an integer"),
    "a table for a number": ("[run.seed]\na = 1", r"run\.seed is .*: it must be an integer"),
    "a table for a text": ("[data.source]\na = 1", r"data\.source is .*: it must be text"),
    "a beta of 1": ("[optim]\nbetas = [0.9, 1.0]", r"optim\.betas is 1: it must be 0 to 0\.99999"),
    "a range that falls": ("[masks]\nsound = [0.9, 0.1]", r"sound is \[0\.9, 0\.1\].*smaller"),
    "a megabyte of text": (f"[data]\nsource = '{'x' * 60_000}'", r"data\.source is 'x+…: it must"),
    "control characters": ('[data]\nmedia = "a\\u001b[31m"', r"data\.media is .*control char"),
    "NUL": ('[data]\ncache = "a\\u0000"', r"data\.cache is .*control characters"),
    "a huge key": (f"[optim]\n{'k' * 60_000} = 1", r"Unknown setting 'optim\.k+…: did you mean"),
    "a key with escapes": ('[optim]\n"\\u001b[31m" = 1', r"Unknown setting 'optim\.\\x1b\[31m'"),
    "deep arrays": ("a = " + "[" * 10_000, "cannot be read"),
    "deep tables": ("[optim]\nlr" + ".a" * 30_000 + " = 1", "cannot be read.*500 dots"),
    "deep text": ("a" + ".a" * 30_000 + " = 1", "cannot be read.*500 dots"),
    "deep inline tables": ("a = " + "{a = " * 10_000, "cannot be read"),
    "a duplicate key": ("[optim]\nlr = 1\nlr = 2\n", r"cannot be read.*line 3"),
    "a duplicate section": ("[optim]\n[optim]", r"cannot be read.*line 2"),
    "a huge model": ("[model.dit]\ndepth = 1_000_000", r"dit\.depth is 1000000: it must be"),
    "a negative size": ("[model.text]\nwidth = -1", r"text\.width is -1: it must be 0 to"),
    "a size of zero": ("[model.text]\nwidth = 0", r"\[model\] is not a model: width is 0"),
    "NaN in the model": ("[model.video]\nfps = nan", r"model\.video\.fps is nan: it must be 0 to"),
    "a huge size": (f"[model.vae]\nchannels = 0x{HUGE * 2}", r"vae\.channels is too long to show"),
    "a long window": ("[model.latent]\nwindow = 10_001", r"window is 10001: it must be 0 to"),
}  # fmt: skip


@pytest.mark.parametrize("kind", EXTREMES)
def test_extreme_values_are_refused_in_one_line_that_names_the_setting(tmp_path, kind):
    text, said = EXTREMES[kind]
    with pytest.raises(SettingsError, match=said) as caught:
        read_settings(written(tmp_path, text))
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 1_000


@pytest.mark.parametrize(
    "content", [b"\xff\xfe[\0o\0", b"[optim]\nlr = \xe9", b"\0" * 99, b"x" * (1 << 17), b"\x1b[31m"]
)
def test_a_file_that_is_not_toml_is_refused_in_one_line(tmp_path, content):
    path = tmp_path / "settings.toml"
    path.write_bytes(content)
    with pytest.raises(
        SettingsError, match=r"settings\.toml (cannot be read|is not a file)"
    ) as caught:
        read_settings(path)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo, lambda path: path.symlink_to("/dev/zero")])
def test_settings_are_only_read_from_files(tmp_path, make):
    path = tmp_path / "settings.toml"
    make(path)
    with pytest.raises(SettingsError, match="is not a file of settings"):
        read_settings(path)


@pytest.mark.parametrize(
    "text", ["a.b=" + "[" * 100_000, "optim.lr=" + "9" * 10_000, f"optim.lr{'.a' * 50_000}=1"]
)
def test_an_extreme_assignment_is_refused_in_one_line(text):
    with pytest.raises(SettingsError, match=r"Unknown setting|optim\.lr is .*: it must be"):
        read_settings(None, [parse_assignment(text)])


def test_an_optional_part_of_a_model_can_be_set_and_removed(tmp_path):
    path = written(tmp_path, "[model.mel]\nfilters = 64\n")
    assert read_settings(path).model.mel.filters == 64
    assert read_settings(path, [("model.mel", None)]).model.mel is None


def test_a_section_of_several_kinds_is_the_one_that_knows_all_keys(tmp_path):
    text = "[model]\ntext_tokens = 128\n[model.dit]\nff_width = 64\ntokens = 471\n"
    assert isinstance(read_settings(written(tmp_path, text)).model.dit, MMDiTConfig)
