import pytest
import torch

from audiox_core.conditioners.video import encode_image, encode_video


@pytest.fixture
def video(checkpoint):
    return checkpoint.conditioners.video


@pytest.fixture
def frames(seeded):
    return torch.randint(1, 256, (50, 3, 224, 224), generator=seeded, dtype=torch.uint8)


@torch.no_grad()
def test_fifty_frames_are_128_tokens(video, frames):
    assert encode_video(video, frames).shape == (1, 128, 64)


@torch.no_grad()
def test_a_black_clip_and_a_wholly_hidden_one_are_absent(video, frames):
    assert torch.equal(encode_video(video, torch.zeros_like(frames)), video.empty_visual_feat)
    assert torch.equal(encode_video(video, frames, ((0, 10),)), video.empty_visual_feat)


@torch.no_grad()
def test_a_hidden_second_is_not_seen(video, frames, seeded):
    other = frames.clone()
    other[5:10] = 255 - other[5:10]
    assert not torch.equal(encode_video(video, frames), encode_video(video, other))
    hidden = ((1.0, 2.0),)
    assert torch.equal(encode_video(video, frames, hidden), encode_video(video, other, hidden))


@torch.no_grad()
def test_the_order_of_frames_matters(video, frames):
    forth, back = encode_video(video, frames), encode_video(video, frames.flip(0))
    assert (forth - back).abs().max() > 1e-3


@torch.no_grad()
def test_a_still_image_is_a_video_in_which_nothing_moves(video, frames):
    still = encode_image(video, frames[0])
    clip = encode_video(video, frames[:1].expand(50, -1, -1, -1))
    torch.testing.assert_close(still, clip, atol=1e-5, rtol=1e-5)
    assert torch.equal(encode_image(video, torch.zeros(3, 40, 64)), video.empty_visual_feat)


@torch.no_grad()
def test_seconds_of_a_still_image_can_be_hidden(video, frames):
    clip = frames[:1].expand(50, -1, -1, -1)
    for hide in (((1.0, 3.5),), ((0.0, 10.0),)):
        still = encode_image(video, frames[0], hide)
        torch.testing.assert_close(still, encode_video(video, clip, hide), atol=1e-5, rtol=1e-5)
