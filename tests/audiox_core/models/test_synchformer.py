"""What Synchformer's encoder promises beside its recorded numbers."""

from copy import deepcopy

import pytest
import torch
from torch.nn.functional import gelu, layer_norm

from audiox_core.models.synchformer import Synchformer, sync_features, sync_pixels


@pytest.fixture
def synchformer(sync_checkpoint):
    return sync_checkpoint.conditioners.sync


@pytest.fixture
def frames(seeded, synchformer):
    size = synchformer.config.image
    return torch.randint(0, 256, (40, 3, size, size), generator=seeded, dtype=torch.uint8)


@pytest.fixture
def computed(monkeypatch):
    """How many segments each forward computes."""
    counts, forward = [], Synchformer.forward

    def counting(self, segments):
        counts.append(len(segments))
        return forward(self, segments)

    monkeypatch.setattr(Synchformer, "forward", counting)
    return counts


@torch.no_grad()
def test_segments_in_a_batch_are_what_they_are_alone(synchformer, frames, computed):
    alone = sync_features(synchformer, frames, at_once=1)
    together = sync_features(synchformer, frames, at_once=3)
    torch.testing.assert_close(alone, together, atol=1e-5, rtol=1e-5)
    assert computed == [1, 1, 1, 1, 3, 1]
    assert alone.shape == (1, 4 * 8, synchformer.config.width)


@torch.no_grad()
def test_each_token_stands_at_its_time(synchformer, frames):
    later = frames.clone()
    later[32:] = 255 - later[32:]  # the fourth segment is frames 24 to 40
    before, after = (sync_features(synchformer, clip)[0] for clip in (frames, later))
    torch.testing.assert_close(before[:24], after[:24], atol=1e-6, rtol=1e-6)
    assert (before[24:] - after[24:]).abs().amax(dim=-1).min() > 1e-4


@torch.no_grad()
def test_equal_segments_are_computed_once(synchformer, frames, computed):
    held = torch.cat([frames[:12], frames[11:12].expand(52, -1, -1, -1)])  # 7 segments
    features = sync_features(synchformer, held, at_once=8)
    assert computed == [3]
    segments = held.unfold(0, 16, 8).permute(0, 1, 4, 2, 3)
    plain = synchformer(sync_pixels(segments).movedim(2, 1).movedim(1, 2))
    torch.testing.assert_close(features, plain.reshape(1, 56, -1), atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_a_picture_that_does_not_move_costs_one_segment(synchformer, frames, computed):
    features = sync_features(synchformer, frames[:1].expand(250, -1, -1, -1))
    assert computed == [1]
    assert torch.equal(features[:, :8].repeat(1, 30, 1), features)


@torch.no_grad()
def test_half_precision_gives_nearly_the_same_features(synchformer, frames):
    made = sync_features(deepcopy(synchformer).to(torch.bfloat16), frames)
    assert made.dtype == torch.float32
    expected = sync_features(synchformer, frames)
    assert (made - expected).std() < 0.05 * expected.std()


def test_work_can_be_stopped_between_batches(synchformer, frames):
    seen = []

    def stop(share):
        seen.append(share)
        if len(seen) == 2:
            raise InterruptedError

    with torch.no_grad(), pytest.raises(InterruptedError):
        sync_features(synchformer, frames, at_once=1, on_progress=stop)
    assert seen == [0.25, 0.5]


@torch.no_grad()
def test_the_summary_token_equals_that_of_the_full_layer(synchformer, seeded):
    summary = synchformer.spatial_attn_agg
    x = torch.randn(2, 5, synchformer.config.width, generator=seeded)
    x0 = torch.cat([summary.cls_token.expand(2, -1, -1), x], dim=1)
    seen = layer_norm(x0, x0.shape[-1:], summary.norm1.weight, summary.norm1.bias, 1e-6)
    y = x0 + summary.self_attn(seen, seen, seen)[0]
    y = y + summary.linear2(gelu(summary.linear1(summary.norm2(y))))
    torch.testing.assert_close(summary(x), y[:, 0], atol=1e-5, rtol=1e-5)
