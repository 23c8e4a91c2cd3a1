"""From an item to a job: defaults, fields of a line, names of outputs, seeds."""

from pathlib import Path

import pytest

from audiox_core.batch.items import Item
from audiox_core.batch.jobs import JobMaker, check_defaults, check_name
from audiox_core.errors import SettingsError

OUT = Path("/out")


@pytest.fixture
def make(defaults):
    def make(fields, *options, name="{folder}/{stem}", **parts):
        maker = JobMaker(defaults(*options), OUT, name)
        job = maker.make(Item(7, fields, Path("/media"), **parts))
        job.check()
        return job

    return make


def test_a_line_overrides_the_options_of_the_command_line(make):
    job = make({"prompt": "rain", "steps": 9}, "--steps", "4", "--cfg", "3", "--takes", "2")
    assert (job.request.steps, job.request.cfg, job.request.takes) == (9, 3, 2)


def test_paths_of_inputs_refer_to_the_folder_of_the_manifest(make):
    fields = {"video": "a.mp4", "checkpoint": "m.ckpt", "lora": "l.safetensors:0.5"}
    job = make(fields)
    assert job.request.video == Path("/media/a.mp4")
    assert job.model.checkpoint == Path("/media/m.ckpt")
    assert job.model.lora == ((Path("/media/l.safetensors"), 0.5),)
    assert make({"video": "/b.mp4"}).request.video == Path("/b.mp4")


def test_a_record_of_generate_is_a_line(make):
    record = {"request": {"prompt": "rain", "seed": 4}, "model": {"dtype": "float32"}}
    job = make(record | {"output": "a.wav", "outputs": ["a.wav"], "seconds": 1.0})
    assert (job.request.prompt, job.request.seed, job.model.dtype) == ("rain", 4, "float32")


def test_times_are_written_as_on_the_command_line_or_as_lists(make):
    for hide in ("video:0-2", {"video": [[0, 2]]}):
        assert make({"video": "a.mp4", "hide": hide}).request.hide == {"video": ((0, 2),)}
    for inpaint in ("1-2", [[1, 2]]):
        job = make({"prompt": "rain", "init_audio": "a.wav", "inpaint": inpaint})
        assert job.request.inpaint == ((1, 2),)
    for prompts in ({"prompts": [[0, 4, "rain"]]}, {"prompt-at": [["0-4", "rain"]]}):
        assert make(prompts).request.prompts == ((0, 4, "rain"),)


@pytest.mark.parametrize(
    ("fields", "name", "output"),
    [
        ({"video": "a.mp4"}, "{folder}/{stem}", "a.mp4"),
        ({"video": "a.avi"}, "{folder}/{stem}", "a.mkv"),
        ({"image": "a.png"}, "{folder}/{stem}", "a.wav"),
        ({"prompt": "Rain, on tin!"}, "{folder}/{stem}", "000007.wav"),
        ({"prompt": "Rain, on tin!"}, "{number}-{prompt}.flac", "000007-rain-on-tin.flac"),
        ({"video": "a.mp4", "seed": 5}, "{stem}-{seed}.wav", "a-5.wav"),
        ({"prompt": "rain"}, "{prompt}-{seed}", "rain-2481012836.wav"),
        ({"video": "a.mp4", "output": "b/c.mov"}, "{stem}", "b/c.mov"),
        ({"video": "v1.5.mp4"}, "{folder}/{stem}", "v1.5.mp4"),
    ],
)
def test_names_of_outputs(make, fields, name, output):
    assert make(fields, name=name).output == OUT / output


def test_files_of_subfolders_keep_them(defaults):
    item = Item(1, {"video": "/m/sub/a.mp4"}, name="sub/a")
    assert JobMaker(defaults(), OUT).make(item).output == OUT / "sub" / "a.mp4"


def test_a_seed_that_is_not_given_depends_only_on_the_name_of_the_output(make):
    first, again, other = (make({"prompt": p, "output": o}).request.seed for p, o in (
        ("rain", "a.wav"), ("snow", "a.wav"), ("rain", "b.wav")))  # fmt: skip
    assert first == again != other
    assert make({"prompt": "rain"}, "--seed", "3").request.seed == 3


def test_options_for_videos_do_not_concern_other_items(make):
    options = ("--keep-original", "-6", "--duck", "3", "--start", "1")
    assert make({"image": "a.png"}, *options).request.keep_original is None
    assert make({"video": "a.mp4"}, *options).request.keep_original == -6


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"promt": "rain"}, "'promt': did you mean 'prompt'"),
        ({"video": 3}, "The path has the type int"),
        ({"video": "a.mp4", "hide": 3}, "hide is not a table"),
        ({"prompt": "rain", "lora": 3}, "lora is 3"),
        ({"prompt_at": 3}, "prompt_at is 3"),
        ({"prompt": "rain", "output": 3}, "output is 3"),
        ({"video": "s3://bucket/a.mp4"}, "is a URL: download the file first"),
        ({"prompt": "rain", "dtype": "int3"}, "dtype is 'int3': use one of"),
        ({"prompt": "rain", "output": "a.mp4"}, "is a video file"),
        ({"prompt": "rain", "takes": "2"}, "takes is '2'"),
        ({"prompt": "rain", "steps": 0}, "steps is 0"),
        ({}, "has no input"),
        ({"request": {"prompt": "rain"}, "output": "a.wav", "model": [1]}, r"model is \[1\]"),
    ],
)
def test_a_wrong_line_says_what_is_wrong(make, fields, message):
    with pytest.raises(SettingsError, match=message):
        make(fields)


def test_an_item_with_a_problem_is_no_job(make):
    with pytest.raises(SettingsError, match="no JSON"):
        make({}, problem="no JSON")


def test_a_record_without_an_output_is_named_as_other_items(make):
    assert make({"request": {"prompt": "rain"}}).output == OUT / "000007.wav"


@pytest.mark.parametrize(
    ("option", "message"),
    [("--steps=0", "steps is 0"), ("--takes=0", "takes is 0"), ("--lufs=9", "lufs is 9")],
)
def test_options_that_fit_no_item_are_refused(defaults, option, message):
    check_defaults(defaults("--keep-original", "-6", "--denoise", "0.5"))  # these need an input
    with pytest.raises(SettingsError, match=message):
        check_defaults(defaults(option))


@pytest.mark.parametrize("pattern", ["{folder}", "{stem}.aac", "{stm}", "{0}", "{stem", "{stem.x}"])
def test_a_pattern_with_unknown_parts_is_refused(pattern):
    check_name("{stem}-v1.5")
    with pytest.raises(SettingsError, match="is not a pattern"):
        check_name(pattern)
