from importlib import import_module

import pytest
import torch

from audiox_core.conditioners.video import (
    VideoConditioner,
    clip_pixels,
    encode_sync,
    still_clip,
)
from audiox_core.config import ClipConfig, TemporalConfig, VideoConfig


@pytest.fixture
def video(toy_checkpoint):
    return toy_checkpoint.conditioners.video


@pytest.fixture
def frames(seeded):
    return torch.randint(1, 256, (50, 3, 224, 224), generator=seeded, dtype=torch.uint8)


@torch.no_grad()
def test_fifty_frames_are_128_tokens(video, frames):
    assert video.encode(frames).shape == (1, 128, 64)


@torch.no_grad()
def test_a_black_clip_and_a_wholly_hidden_one_are_absent(video, frames):
    assert torch.equal(video.encode(torch.zeros_like(frames)), video.empty_visual_feat)
    assert torch.equal(video.encode(frames, ((0, 10),)), video.empty_visual_feat)


@torch.no_grad()
def test_frames_of_a_hidden_second_do_not_change_the_tokens(video, frames, seeded):
    other = frames.clone()
    other[5:10] = 255 - other[5:10]
    assert not torch.equal(video.encode(frames), video.encode(other))
    hidden = ((1.0, 2.0),)
    assert torch.equal(video.encode(frames, hidden), video.encode(other, hidden))


@torch.no_grad()
def test_frames_in_another_order_give_other_tokens(video, frames):
    forth, back = video.encode(frames), video.encode(frames.flip(0))
    assert (forth - back).abs().max() > 1e-3


@torch.no_grad()
def test_a_still_image_is_encoded_like_a_video_without_motion(video, frames):
    still = video.encode_image(frames[0])
    clip = video.encode(frames[:1].expand(50, -1, -1, -1))
    torch.testing.assert_close(still, clip, atol=1e-5, rtol=1e-5)
    assert torch.equal(video.encode_image(torch.zeros(3, 40, 64)), video.empty_visual_feat)


@torch.no_grad()
def test_seconds_of_a_still_image_can_be_hidden(video, frames):
    clip = frames[:1].expand(50, -1, -1, -1)
    for hide in (((1.0, 3.5),), ((0.0, 10.0),)):
        still = video.encode_image(frames[0], hide)
        torch.testing.assert_close(still, video.encode(clip, hide), atol=1e-5, rtol=1e-5)


@pytest.fixture(scope="module")
def seeing(toy_checkpoint, tiny_synchformer):
    """The video conditioner and the Synchformer of a model that uses both."""

    def core(name):
        return import_module(f"audiox_core.{name}")

    toy = toy_checkpoint
    conditioners, _ = tiny_synchformer(core, toy.conditioners, toy.config)
    return conditioners.video, conditioners.sync


@pytest.fixture
def quick_frames(seeded):
    return torch.randint(1, 256, (250, 3, 32, 32), generator=seeded, dtype=torch.uint8)


@torch.no_grad()
def test_synchformer_features_are_scaled_by_the_sync_weight(seeing, frames, quick_frames):
    conditioner, synchformer = seeing
    sync = encode_sync(synchformer, quick_frames, 25)
    assert sync.shape == (1, 240, 64)
    tokens = conditioner.encode(frames, sync=sync)
    other = conditioner.encode(frames, sync=encode_sync(synchformer, 255 - quick_frames, 25))
    assert (tokens - other).abs().max() > 1e-3
    # rows of the projection are 240 numbers of the flat memory, not a token's or a channel's
    rows = sync.reshape(-1, 240) @ conditioner.proj_sync.weight.T + conditioner.proj_sync.bias
    added = conditioner.sync_weight * rows.reshape(1, 128, 64)
    hidden = conditioner.clip_states(frames)[None]
    torch.testing.assert_close(
        tokens, conditioner.temporal_tokens(hidden) + added, atol=1e-5, rtol=1e-5
    )


@torch.no_grad()
def test_missing_synchformer_features_are_zeros(seeing, frames):
    conditioner, _ = seeing
    zeros = torch.zeros(1, 240, 64)
    expected = conditioner.encode(frames, sync=zeros)
    assert torch.equal(conditioner.encode(frames), expected)


@torch.no_grad()
def test_synchformer_features_of_a_black_clip_are_ignored(seeing, frames, quick_frames):
    conditioner, synchformer = seeing
    sync = encode_sync(synchformer, quick_frames, 25)
    empty = conditioner.empty_visual_feat
    assert torch.equal(conditioner.encode(torch.zeros_like(frames), sync=sync), empty)
    assert torch.equal(conditioner.encode(frames, ((0, 10),), sync=sync), empty)
    assert torch.equal(conditioner.encode_image(torch.zeros(3, 9, 9), sync=sync), empty)


@torch.no_grad()
def test_a_hidden_second_is_black_for_synchformer(seeing, quick_frames):
    _, synchformer = seeing
    black, hide = quick_frames.clone(), ((1.0, 2.0), (3.0, 3.04))
    black[25:50], black[75] = 0, 0
    expected = encode_sync(synchformer, black, 25)
    assert torch.equal(encode_sync(synchformer, quick_frames, 25, hide), expected)


@torch.no_grad()
@pytest.mark.parametrize("hide", [(), ((1.0, 3.5),), ((0.0, 10.0),)])
def test_a_still_image_has_no_motion_for_synchformer(seeing, frames, hide):
    conditioner, synchformer = seeing
    still = still_clip(frames[0], conditioner.config.sync)
    moving = still.clone()  # the same clip, each frame in memory of its own
    first, second = (encode_sync(synchformer, clip, 25, hide) for clip in (still, moving))
    assert torch.equal(first, second)
    video = conditioner.encode(frames[:1].expand(50, -1, -1, -1), hide, sync=second)
    image = conditioner.encode_image(frames[0], hide, sync=first)
    torch.testing.assert_close(image, video, atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_every_token_of_a_frame_gets_the_position_of_the_frame(seeded):
    """Adding positions to the hidden states by hand is the same as the learned positions."""
    sizes = VideoConfig(
        frames=3, tokens=4, clip=ClipConfig(width=8), temporal=TemporalConfig(1, 2, 4, 16)
    )
    with torch.device("meta"):
        conditioner = VideoConditioner(sizes, 2, torch.nn.Identity())
    state = conditioner.state_dict().items()
    weights = {name: torch.randn(like.shape, generator=seeded) for name, like in state}
    conditioner.load_state_dict(weights, assign=True)
    hidden = torch.randn(2, 3, 2, 8, generator=seeded)
    learned = conditioner.temporal_tokens(hidden)
    moved = hidden + conditioner.Temp_pos_embedding[:, :, None]
    conditioner.Temp_pos_embedding.zero_()
    torch.testing.assert_close(conditioner.temporal_tokens(moved), learned, atol=1e-4, rtol=1e-4)
    assert (conditioner.temporal_tokens(hidden) - learned).abs().max() > 0.1


def test_pixels_are_normalized_as_clip_was_trained():
    frames = torch.tensor([0, 255], dtype=torch.uint8).view(2, 1, 1, 1).expand(2, 3, 1, 1)
    pixels = clip_pixels(frames)
    black, white = pixels[..., 0, 0].tolist()
    assert black == pytest.approx([-1.7923, -1.7521, -1.4802], abs=1e-4)  # - mean / std
    assert white == pytest.approx([1.9303, 2.0749, 2.1459], abs=1e-4)  # (1 - mean) / std
