"""Requests that no run can serve are refused before anything is computed."""

import numpy as np
import pytest

from audiox_core import Request
from audiox_core.config import AudioXConfig
from audiox_core.errors import SettingsError
from audiox_core.pipeline.request import check_request, sampling_of
from audiox_core.variants import VARIANTS

V1 = AudioXConfig()


def test_a_request_with_any_input_is_accepted():
    for inputs in ({"prompt": "rain"}, {"video": "a.mp4"}, {"image": "a.png"}, {"audio": "a.wav"}):
        check_request(Request(**inputs))
    check_request(Request(init_audio="a.wav"))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "has no input"),
        ({"prompt": " \n"}, "has no input"),
        ({"prompt": "rain", "hide": {"audio": ((0, 1),)}}, "no audio to hide"),
        ({"video": "a.mp4", "image": "a.png"}, "only one of them"),
        ({"prompt": "rain", "start": 1.0}, "start is a time in a video: pass a video"),
        ({"video": "a.mp4", "start": -1.0}, "start is -1"),
        ({"prompt": "rain", "keep_original": 0.0}, "keep_original is for the sound of a video"),
        ({"video": "a.mp4", "duck": 6.0}, "set keep_original, too"),
        ({"init_audio": "a.wav", "extend": 5.0, "seconds": 9.0}, "extend and seconds both set"),
        ({"video": "a.mp4", "init_audio": "a.wav", "extend": 5.0}, "extend and a video both set"),
        ({"prompt": "rain", "extend": 5.0}, "extend needs existing audio"),
        ({"init_audio": "a.wav", "extend": 5.0, "denoise": 0.5}, "exclude each other"),
        ({"video": "a.mp4", "start": float("nan")}, "start is nan"),
        ({"video": "a.mp4", "loop": True}, "but video has both: leave out --video or --loop"),
        ({"init_audio": "a.wav", "loop": True}, "leave out --init-audio or --loop"),
        ({"prompt": "rain", "loop": "no"}, "loop is 'no': use True or False"),
        ({"prompt": "rain", "loop": True, "seconds": 1.5}, "The length of a loop is 1.5 s"),
        ({"prompt": "rain", "text_guidance": -1.0}, "text_guidance is -1: it must be 0 to 100"),
    ],
)
def test_inputs_that_exclude_one_another_are_refused(settings, message):
    with pytest.raises(SettingsError, match=message):
        check_request(Request(**settings))


NAN, INF = float("nan"), float("inf")
NUMBERS = {
    "seconds": (0.0, 600.1), "seed": (-1, 2**64, 1.5), "steps": (0, 10_001, 2.5),
    "cfg": (-0.1, 100.1), "cfg_rescale": (-0.1, 1.1), "start": (-1.0, 2e6),
    "text_strength": (-0.1, 1.1), "video_strength": (-0.1, 1.1), "audio_strength": (-0.1, 1.1),
    "denoise": (0.0, 1.1), "init_noise_level": (-1.0, 10_001), "extend": (-1.0, 601),
    "feather": (-0.1, 601), "gain": (-121, 121), "keep_original": (-121, 121), "duck": (-1, 121),
    "lufs": (-71, 1),
}  # fmt: skip
BAD_NUMBERS = [
    (name, value) for name, values in NUMBERS.items() for value in (*values, NAN, INF, -INF, "two")
]


@pytest.mark.parametrize(("name", "value"), BAD_NUMBERS)
def test_every_number_has_limits_that_hold_before_a_model_is_loaded(name, value):
    request = Request(video="a.mp4", init_audio="a.wav", **{name: value})
    with pytest.raises(SettingsError) as error:
        check_request(request)
    assert "must be" in str(error.value)


BAD_SPANS = {
    "reversed": ((2.0, 1.0),), "empty": ((1.0, 1.0),), "negative": ((-1.0, 1.0),),
    "nan": ((NAN, 1.0),), "nan end": ((0.0, NAN),), "endless": ((0.0, INF),),
    "words": (("one", "two"),), "text": "0-2", "a number": 3, "one number": (3.0,),
    "three numbers": ((1.0, 2.0, 3.0),), "nothing": None, "too many": ((0.0, 1.0),) * 1001,
}  # fmt: skip


@pytest.mark.parametrize("spans", BAD_SPANS.values(), ids=BAD_SPANS)
@pytest.mark.parametrize("field", ["inpaint", "hide"])
def test_time_ranges_that_are_none_are_refused_in_one_line(field, spans):
    value = {"video": spans} if field == "hide" else spans
    with pytest.raises(SettingsError, match="time range") as error:
        check_request(Request(video="a.mp4", init_audio="a.wav", **{field: value}))
    assert len(str(error.value)) < 200


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"hide": ((0.0, 1.0),)}, "hide is not a table"),
        ({"hide": {"text": ((0.0, 1.0),)}}, "no text to hide"),
        ({"prompt": 5}, "The prompt is a int"),
        ({"prompt": "x" * 5000}, "5,000 characters"),
        ({"image": 5, "video": None}, "image is a int"),
        ({"sampler": "magic"}, "Unknown sampler 'magic'"),
    ],
)
def test_other_values_that_no_run_can_use_are_refused(settings, message):
    with pytest.raises(SettingsError, match=message):
        check_request(Request(**{"video": "a.mp4", **settings}))


def test_numbers_of_numpy_are_numbers():
    check_request(Request(prompt="rain", seconds=np.float32(2), seed=np.int64(3), cfg=np.int32(2)))


def test_a_variation_has_limits_by_the_objective():
    flow = VARIANTS["audiox-base"]
    sampling_of(Request(init_audio="a.wav", init_noise_level=10_000), V1)
    sampling_of(Request(init_audio="a.wav", init_noise_level=1.0), flow)
    for config, level in ((V1, 0.3), (V1, 10_001), (flow, 1.1), (flow, 0.0)):
        with pytest.raises(SettingsError, match="init_noise_level"):
            sampling_of(Request(init_audio="a.wav", init_noise_level=level), config)
    for denoise in (0.001, 1.0):
        sampling_of(Request(init_audio="a.wav", denoise=denoise), V1)
    for denoise in (0.0, 1.1):
        with pytest.raises(SettingsError, match="denoise is"):
            sampling_of(Request(init_audio="a.wav", denoise=denoise), V1)
