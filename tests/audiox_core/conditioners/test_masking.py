"""What masks do to frames, patches, samples and tokens."""

import pytest
import torch

from audiox_core.conditioners.masking import (
    apply_strength,
    hidden_frames,
    hide_frames,
    hide_patches,
    hide_samples,
    hide_tokens,
    is_absent,
    random_spans,
    replace_absent,
)
from audiox_core.errors import SettingsError


def bits(tensor):
    return tensor.contiguous().view(torch.int32)


@pytest.mark.parametrize(("strength", "which"), [(0.0, 0), (1.0, 1)])
def test_strengths_0_and_1_are_absence_and_presence_bit_for_bit(strength, which, seeded):
    absent = torch.tensor([[[-0.0, 1e-30, 1e30]]])
    tokens = torch.tensor([[[1e30, -0.0, -7.1]]])
    out = apply_strength(absent, tokens, strength)
    assert torch.equal(bits(out), bits((absent, tokens)[which]))


def test_strengths_between_are_linear(seeded):
    absent, tokens = torch.randn(2, 1, 3, 4, generator=seeded)
    out = apply_strength(absent[None, 0], tokens[None, 0], 0.25)
    torch.testing.assert_close(out, 0.75 * absent[None, 0] + 0.25 * tokens[None, 0])


@pytest.mark.parametrize("strength", [-0.1, 1.1, float("nan")])
def test_other_strengths_are_refused(strength):
    with pytest.raises(SettingsError, match="0 to 1"):
        apply_strength(torch.zeros(1, 2, 2), torch.zeros(1, 2, 2), strength)


def test_frames_are_hidden_by_their_time():
    frames = torch.full((10, 3, 2, 2), 9, dtype=torch.uint8)
    shown = hide_frames(frames, 5.0, ((0.2, 0.6), (1.7, 99.0)))
    assert [int(f.max() > 0) for f in shown] == [1, 0, 0, 1, 1, 1, 1, 1, 1, 0]
    assert frames.min() == 9


def test_samples_are_hidden_by_their_time():
    waveform = torch.ones(2, 100)
    heard = hide_samples(waveform, 10, ((2.0, 3.5),))
    assert heard[:, 20:35].sum() == 0
    assert heard.sum() == 2 * 85
    assert waveform.sum() == 200
    assert hide_samples(waveform, 10, ((0.0, 1e300),)).sum() == 0


def test_a_frame_at_the_start_of_a_span_is_hidden_and_one_at_its_end_is_not():
    assert hidden_frames(6, 5.0, ((0.2, 0.6),)).tolist() == [False, True, True, False, False, False]
    assert not hidden_frames(6, 5.0, ()).any()


def test_hidden_times_are_rounded_to_samples():
    kept = hide_samples(torch.ones(1, 10), 10, ((0.14, 0.36),))
    assert kept.tolist() == [[1, 0, 0, 0, 1, 1, 1, 1, 1, 1]]


def test_patches_are_blackened_in_every_frame_of_their_clip():
    frames = torch.ones(2, 3, 3, 4, 6)  # patches of 2 by 3 pixels
    hidden = torch.zeros(2, 2, 2, dtype=torch.bool)
    hidden[1, 0, 1] = True
    shown = hide_patches(frames, hidden)
    expected = torch.ones(2, 3, 3, 4, 6)
    expected[1, :, :, :2, 3:] = 0
    assert torch.equal(shown, expected)


def test_hidden_tokens_are_zero():
    hidden = torch.tensor([[True, False], [False, True]])
    out = hide_tokens(torch.ones(2, 2, 3), hidden)
    assert out[..., 0].tolist() == [[0, 1], [1, 0]]
    assert out.sum() == 6


def test_random_spans_lie_inside_and_have_the_drawn_shares(seeded):
    spans = random_spans(500, 1_000, 0.25, 0.75, generator=seeded)
    lengths = torch.tensor([end - begin for begin, end in spans]).float()
    assert all(begin >= 0 and end <= 1_000 for begin, end in spans)
    assert 250 <= lengths.min() <= 260
    assert 740 <= lengths.max() <= 750
    assert lengths.mean().item() == pytest.approx(500, abs=20)
    # the first and the last place that a span can have both occur
    short = random_spans(200, 4, 0.5, 0.5, generator=seeded)
    assert {begin for begin, _ in short} == {0, 1, 2}
    assert {end - begin for begin, end in short} == {2}


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
def test_an_input_of_zeros_counts_as_absent(dtype):
    inputs = torch.zeros(3, 2, 4, dtype=dtype)
    inputs[1, 1, 3] = 1
    assert is_absent(inputs).tolist() == [True, False, True]


def test_only_absent_items_are_replaced(seeded):
    tokens, learned = torch.randn(2, 3, 4, generator=seeded), torch.randn(1, 3, 4, generator=seeded)
    out = replace_absent(tokens, learned, torch.tensor([False, True]))
    assert torch.equal(out, torch.stack([tokens[0], learned[0]]))
