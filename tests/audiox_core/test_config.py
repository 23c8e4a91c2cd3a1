import json
from dataclasses import replace

import pytest

from audiox_core.config import AudioXConfig, LatentConfig, OobleckConfig


def test_a_config_survives_the_header_of_a_file():
    config = replace(
        AudioXConfig(),
        variant="toy",
        vae=OobleckConfig(strides=(2, 4), multipliers=(1, 2), channels=8),
    )
    assert AudioXConfig.from_json(config.to_json()) == config


@pytest.mark.parametrize(
    "text",
    ["[]", '{"vae": 3}', '{"unheard_of": 1}', '{"latent": {"hop_length": "long"}}', "{"],
)
def test_json_that_is_not_a_config_is_refused(text):
    with pytest.raises(ValueError, match=r"."):
        AudioXConfig.from_json(text)


def test_missing_fields_have_the_values_of_v1():
    assert AudioXConfig.from_json(json.dumps({"variant": "x"})) == replace(
        AudioXConfig(), variant="x"
    )


def test_a_window_lasts_10_96_seconds():
    assert LatentConfig().window_seconds == pytest.approx(10.9598, abs=1e-4)
    assert OobleckConfig().hop_length == LatentConfig().hop_length


def with_values(**changes):
    data = json.loads(AudioXConfig().to_json())
    for path, value in changes.items():
        *parts, name = path.split("__")
        place = data
        for part in parts:
            place = place[part]
        place[name] = value
    return json.dumps(data)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dit__width": -5}, "width is -5, which is out of range"),
        ({"dit__width": 10**12}, "width is 1000000000000, which is out of range"),
        ({"dit__head_dim": 0}, "head_dim is 0"),
        ({"dit__head_dim": 100}, r"dit\.width is 1536, but must be a multiple of 100"),
        ({"dit__head_dim": 16}, "even dit.head_dim of at least 32, not 16"),
        ({"video__clip__heads": 7}, r"video\.clip\.width is 768, but must be a multiple of 7"),
        ({"video__clip__patch": 0}, "patch is 0"),
        ({"text_tokens": 0}, "text_tokens is 0"),
        ({"latent__sample_rate": 0}, "sample_rate is 0"),
        ({"objective": "epsilon"}, "objective is 'epsilon', but must be v or rectified_flow"),
        ({"sampling__sigma_min": -1.0}, "sigma_min is -1.0"),
        ({"sampling__sigma_max": 0.1}, "sigma_min is not between 0 and sigma_max"),
        ({"vae__strides": [2, 0]}, "strides is 0"),
        ({"vae__strides": [2, 4]}, r"number of vae\.strides is 2, but must be 5"),
        ({"video__fps": float("nan")}, "fps is nan"),
        ({"video__fps": float("inf")}, "fps is inf"),
        ({"dit__depth": 10**400}, "depth is 10000000000000000000, which is out of range"),
        ({"dit__depth": 2.5}, "expected int, but found 2.5"),
        ({"text_tokens": 9_999}, "text_tokens is 9999"),
        ({"latent__sample_rate": 999}, "sample_rate is 999"),
        (
            {"latent__window": 200},
            "conditioned_seconds is 10, but a window of 200 frames lasts 9.28",
        ),
        ({"latent__conditioned_seconds": 0.05}, "conditioned_seconds is 0.05"),
        ({"latent__window": 10**6}, "window is 1000000"),
        ({"latent__conditioned_seconds": 1e6}, "conditioned_seconds is 1000000"),
    ],
)
def test_sizes_that_no_model_can_have_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        AudioXConfig.from_json(with_values(**changes))
