"""Requests that no run can serve are refused before anything is computed."""

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
        ({"video": "a.mp4", "start": float("nan")}, "start is nan"),
    ],
)
def test_inputs_that_exclude_one_another_are_refused(settings, message):
    with pytest.raises(SettingsError, match=message):
        check_request(Request(**settings))


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
