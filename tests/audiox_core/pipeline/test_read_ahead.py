"""Frames that are read before they are needed."""

from dataclasses import replace

import torch

from audiox_core.media.clip import Clip
from audiox_core.pipeline.encode import encode_video
from audiox_core.pipeline.read_ahead import read_ahead


def test_the_features_are_the_same_and_nothing_is_read_twice(checkpoint, seeded):
    reads = []

    def frames(begin, end, grids):
        reads.append(begin)
        level = round(20 * begin) % 250
        return [torch.full((g.count, 3, g.size, g.size), level, dtype=torch.uint8) for g in grids]

    clip = Clip(25.0, frames, lambda _rate: None)
    expected = encode_video(checkpoint, clip, start=1.0).tokens
    plain = [*reads]
    reads.clear()
    ahead = read_ahead(clip, checkpoint.config, 1.0, 24.0)
    assert reads == plain
    assert torch.equal(encode_video(checkpoint, ahead, start=1.0).tokens, expected)
    assert reads == plain
    reads.clear()
    partly = read_ahead(replace(clip), checkpoint.config, 1.0, 24.0, most_bytes=1)
    assert reads == plain[:1]  # the rest is read when it is needed
    assert torch.equal(encode_video(checkpoint, partly, start=1.0).tokens, expected)
    assert reads == plain
