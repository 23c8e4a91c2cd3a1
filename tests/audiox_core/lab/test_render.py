"""Rendered clips as files, with the manifest that lists them."""

import json
from types import SimpleNamespace

import torch

from audiox_core.lab.render import render_clips
from audiox_core.media.audio import read_audio

RATE = 8_000


class ToneWorld:
    """A world of music alone: clip `n` is a constant of `n` tenths."""

    config = SimpleNamespace(latent=SimpleNamespace(sample_rate=RATE))

    def item(self, number):
        level = torch.full((2, RATE // 10), number / 10)
        return SimpleNamespace(audio=lambda _rate: level, caption=f"level {number}")


def test_music_becomes_flac_files_and_a_manifest(tmp_path):
    counted = []
    files = render_clips(ToneWorld(), tmp_path, range(2, 4), on_clip=lambda: counted.append(1))
    assert [path.name for path in files] == ["000002.flac", "000003.flac", "manifest.jsonl"]
    lines = files[-1].read_text(encoding="utf-8").splitlines()
    assert [json.loads(line) for line in lines] == [
        {"path": "000002.flac", "caption": "level 2"},
        {"path": "000003.flac", "caption": "level 3"},
    ]
    torch.testing.assert_close(
        read_audio(files[0], sample_rate=RATE), torch.full((2, RATE // 10), 0.2), atol=1e-4, rtol=0
    )
    assert len(counted) == 2
