"""A run as JSON, and back."""

import json
from pathlib import Path

import pytest

from audiox_core.errors import SettingsError
from audiox_core.pipeline.model_options import ModelOptions
from audiox_core.pipeline.record import model_values, read_record, record_of, request_values
from audiox_core.pipeline.request import Request, check_request

REQUEST = Request(
    prompt="rain",
    prompts=((0.0, 2.0, "a bell"), (2.0, 4.0, "wind")),
    video=Path("/clips/a.mp4"),
    hide={"video": ((0.0, 1.0), (2.0, 3.0))},
    lufs=-16.0,
    takes=3,
    seed=2**53 + 1,
)
MODEL = ModelOptions(Path("/m.ckpt"), ((Path("/a.safetensors"), 0.5),), device="cuda:1")
OUTPUT = Path("/out/a.mp4")


def test_a_run_is_read_back_from_its_record(tmp_path):
    path = tmp_path / "run.json"
    made = {"seconds": 4.0, **record_of(REQUEST, MODEL, OUTPUT), "version": "0.1.0"}
    path.write_text(json.dumps(made), encoding="utf-8")
    values = read_record(path)
    request = Request(**{name: values[name] for name in vars(REQUEST)})
    check_request(request)
    assert request == REQUEST
    assert ModelOptions(**{name: values[name] for name in vars(MODEL)}) == MODEL
    assert values["output"] == OUTPUT


def test_relative_paths_are_recorded_as_absolute_ones(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    made = record_of(Request(audio="a.wav", video=Path("b.mp4")), ModelOptions(), Path("c.wav"))
    assert made["request"]["video"] == str(tmp_path / "b.mp4")
    assert made["output"] == str(tmp_path / "c.wav")
    assert made["request"]["audio"] == str(tmp_path / "a.wav")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("not JSON", "is not JSON"),
        ("[1]", "is not a record of a run"),
        ('{"seed": 1}', "is not a record of a run"),
        ('{"request": 5, "model": {}, "output": "a"}', "request is 5: it must be a table"),
        ('{"request": {}, "model": {}, "output": 5}', "output is 5"),
        (
            '{"request": {"promt": "rain"}, "model": {}, "output": "a"}',
            "request has no field 'promt'. Did you mean prompt?",
        ),
    ],
)
def test_a_file_that_is_no_record_is_refused(tmp_path, text, says):
    (tmp_path / "run.json").write_text(text, encoding="utf-8")
    with pytest.raises(SettingsError, match=says.replace(".", r"\.").replace("?", r"\?")):
        read_record(tmp_path / "run.json")


def test_a_missing_record_is_refused(tmp_path):
    with pytest.raises(SettingsError, match="cannot be read"):
        read_record(tmp_path / "nowhere.json")


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"dtype": "int3"}, "dtype is 'int3': use one of auto, float32"),
        ({"variant": ["x"]}, "variant is"),
        ({"device": "tpu"}, "Unknown device 'tpu'"),
        ({"checkpoint": 5}, "The path has the type int"),
        ({"vae": "https://a/b.ckpt"}, "is a URL"),
        ({"lora": ["a.safetensors"]}, "use a list of a file and a strength"),
        ({"lora": 5}, "use a list of a file and a strength"),
    ],
)
def test_a_model_with_invalid_options_is_refused(values, says):
    with pytest.raises(SettingsError, match=says):
        model_values(values)


def test_a_request_takes_the_lists_of_json():
    given = request_values({"inpaint": [[0, 1.5]], "hide": {"audio": [[1, 2]]}, "audio": "~/a.wav"})
    assert given["inpaint"] == ((0, 1.5),)
    assert given["hide"] == {"audio": ((1, 2),)}
    assert given["audio"] == Path("~/a.wav").expanduser()
