import json
from dataclasses import replace

import pytest

from audiox_core.config import AudioXConfig, LatentConfig, OobleckConfig


def test_a_config_survives_the_header_of_a_file():
    config = replace(AudioXConfig(), variant="toy", vae=OobleckConfig(strides=(2, 4), channels=8))
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


@pytest.mark.parametrize(("seconds", "frames"), [(0.1, 236), (10, 236), (10.95, 236), (11, 237)])
def test_at_least_a_window_covers_any_length(seconds, frames):
    assert LatentConfig().covering_frames(seconds) == frames
