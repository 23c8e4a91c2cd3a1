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
def test_what_is_no_config_is_refused(text):
    with pytest.raises(ValueError, match=r"."):
        AudioXConfig.from_json(text)


def test_what_a_config_leaves_out_is_v1s():
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
    "changes",
    [
        {"dit__width": -5},
        {"dit__width": 10**12},
        {"dit__head_dim": 0},
        {"dit__head_dim": 100},
        {"dit__head_dim": 16},
        {"video__clip__heads": 7},
        {"video__clip__patch": 0},
        {"text_tokens": 0},
        {"latent__sample_rate": 0},
        {"sampling__sigma_min": -1.0},
        {"sampling__sigma_max": 0.1},
        {"vae__strides": [2, 0]},
        {"video__fps": float("nan")},
    ],
)
def test_sizes_of_which_no_model_can_be_built_are_refused(changes):
    with pytest.raises(ValueError, match=r"."):
        AudioXConfig.from_json(with_values(**changes))
