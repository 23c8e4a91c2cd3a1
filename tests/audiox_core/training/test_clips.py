"""Clips of any source: ranges, keys, invalid items."""

import pickle

import pytest
import torch

from audiox_core.config import AudioXConfig
from audiox_core.errors import SettingsError
from audiox_core.training.clips import (
    InvalidItem,
    InvalidItemError,
    clip_range,
    clips_key,
    pad_crop,
)
from audiox_core.training.config import DataConfig


class TenClips:
    def __init__(self):
        self.notes = {"captions cut": 2}

    def __len__(self):
        return 10


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, range(10)),
        ({"clips": 4}, range(4)),
        ({"first": 8, "clips": 4}, range(8, 10)),
    ],
)
def test_a_run_uses_the_clips_that_its_settings_name(settings, expected):
    assert clip_range(TenClips(), DataConfig(**settings)) == expected


def test_a_first_clip_after_the_last_one_is_refused():
    with pytest.raises(SettingsError, match=r"a\.jsonl contains 10 clips and none from number 10"):
        clip_range(TenClips(), DataConfig(source="a.jsonl", first=10))


def test_changes_that_a_source_made_are_logged(caplog):
    clip_range(TenClips(), DataConfig(source="a.jsonl"))
    assert "a.jsonl: captions cut 2 times" in caplog.text


def test_an_invalid_item_names_its_line_and_survives_pickling():
    item = InvalidItem("a.mp4", 3, "no sound", "it has no audio", 2)
    error = pickle.loads(pickle.dumps(InvalidItemError(item)))
    assert error.item == item
    assert str(error) == "a.mp4 (line 3): it has no audio"


def test_the_key_of_clips_depends_on_content_options_and_sizes():
    config = AudioXConfig()
    keys = {
        clips_key(b"a", (1,), config),
        clips_key(b"b", (1,), config),
        clips_key(b"a", (2,), config),
        clips_key(b"a", (1,), AudioXConfig(text_tokens=7)),
    }
    assert len(keys) == 4
    assert clips_key(b"a", (1,), config) in keys


def test_a_piece_is_cut_and_padded_with_zeros_at_its_end():
    audio = torch.arange(1.0, 6.0).expand(2, -1)
    assert pad_crop(audio, 2, offset=1)[0].tolist() == [2, 3]
    assert pad_crop(audio, 4, offset=3)[1].tolist() == [4, 5, 0, 0]
