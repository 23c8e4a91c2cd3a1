"""Which model renders a request."""

from pathlib import Path

import pytest

from audiox_core.cli import build_parser
from audiox_core.errors import WeightsError
from audiox_core.pipeline.model_options import ModelOptions, model_options, parse_lora


def test_the_defaults_of_the_command_line_are_those_of_the_model():
    options = build_parser()[0].parse_args(["generate", "--prompt", "rain", "-o", "a.wav"])
    assert model_options(vars(options)) == ModelOptions()


@pytest.mark.parametrize("name", ["checkpoint", "vae", "synchformer", "text_encoder", "config"])
def test_a_file_that_is_missing_is_refused(tmp_path, name):
    with pytest.raises(WeightsError, match="nowhere"):
        ModelOptions(**{name: tmp_path / "nowhere.ckpt"}).check()


def test_a_lora_is_one_of_the_weights_files():
    options = ModelOptions(Path("a.ckpt"), lora=((Path("b.safetensors"), 0.5),))
    assert options.files == [Path("a.ckpt"), Path("b.safetensors")]


@pytest.mark.parametrize(
    ("text", "name", "strength"),
    [
        ("a.safetensors", "a.safetensors", 1.0),
        ("a.safetensors:0.5", "a.safetensors", 0.5),
        ("C:/a.safetensors", "C:/a.safetensors", 1.0),
    ],
)
def test_a_lora_option_may_include_a_strength(text, name, strength):
    path, found = parse_lora(text)
    assert (str(path), found) == (name, strength)
