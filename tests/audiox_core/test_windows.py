"""Any length: windows as planned, joined without a seam, each with its own tokens."""

from math import ceil

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import conv1d

from audiox_core import windows
from audiox_core.config import LatentConfig
from audiox_core.errors import SettingsError
from audiox_core.windows import (
    CPU_ITEMS_AT_ONCE,
    ITEMS_AT_ONCE,
    active_windows,
    check_windows,
    over_windows,
    plan,
    plan_frames,
    spans_in_window,
)

LATENT = LatentConfig()
TOKENS = 343  # of the embedded model's conditions


@pytest.mark.parametrize("seconds", [0.1, 10, 10.96, 11, 20, 45, 600])
def test_lengths_and_windows_follow_the_design(seconds):
    made = plan(LATENT, seconds)
    frames = max(236, ceil(round(seconds * 44_100) / 2048))
    count = 1 if frames == 236 else 1 + ceil((frames - 236) / 193)
    assert made.frames == frames
    assert made.starts == tuple(min(193 * i, frames - 236) for i in range(count))


SMALL = LatentConfig(100, 10, 4, 24, 2.0)  # 24 frames of 0.1 s, 20 of them described


def test_a_window_fades_into_the_next_one_where_both_are_described():
    made = plan_frames(SMALL, 50)
    assert made.starts == (0, 18, 26)  # a hop of 20 less a fade of 2; the last one ends at 50
    assert made.fade == (18, 20)
    third = 1 / 3
    first, second, last = made.weights().tolist()
    assert first == pytest.approx([1] * 18 + [2 * third, third] + [0] * 4)
    # the last window begins 8 frames after the second one, which fades as the first did
    assert second == pytest.approx([third, 2 * third] + [1] * 16 + [2 * third, third] + [0] * 4)
    assert last == pytest.approx([0] * 10 + [third, 2 * third] + [1] * 12)


def test_a_single_window_has_weight_1_at_every_frame():
    for frames, starts in ((24, (0,)), (7, (0,))):
        made = plan_frames(SMALL, frames)
        assert (made.window, made.starts, made.windows) == (frames, starts, 1)
        assert made.weights().tolist() == [[1.0] * frames]


@pytest.mark.parametrize(
    ("frames", "starts"),
    [(25, (0, 1)), (42, (0, 18)), (43, (0, 18, 19)), (60, (0, 18, 36)), (61, (0, 18, 36, 37))],
)
def test_windows_hop_until_the_end_is_covered(frames, starts):
    assert plan_frames(SMALL, frames).starts == starts


def test_windows_begin_at_their_seconds():
    assert plan_frames(SMALL, 50).start_seconds == pytest.approx((0, 1.8, 2.6))


def test_a_length_in_seconds_is_rounded_up_to_frames():
    assert plan(SMALL, 0.1).frames == 24
    assert plan(SMALL, 2.4).frames == 24
    assert plan(SMALL, 2.41).frames == 25
    assert plan(SMALL, 5.0).frames == 50


def test_a_tiny_window_still_fades_over_one_frame():
    made = plan_frames(LatentConfig(100, 10, 4, 5, 0.3), 8)
    assert made.fade == (2, 3)
    assert made.starts == (0, 2, 3)


def test_conditions_serve_all_windows_or_each_its_own():
    made = plan_frames(SMALL, 50)
    for given_windows in (1, 3):
        check_windows(given_windows, made)
    with pytest.raises(SettingsError, match=r"2 windows, but the latent has 3 windows \(5\.00 s\)"):
        check_windows(2, made)


@pytest.mark.parametrize(
    ("windows", "seconds", "frames"),
    [(1, None, 50), (3, 5.0, 50), (3, 4.9, 50), (1, 0.5, 24), (1, 2.4, 10), (1, 2.4, 24)],
)
def test_tokens_of_a_video_serve_its_length(windows, seconds, frames):
    check_windows(windows, plan_frames(SMALL, frames), seconds)


@pytest.mark.parametrize(
    ("windows", "seconds", "frames", "lengths"),
    [
        (1, 2.0, 50, r"2\.00 s, but the latent has 3 windows \(5\.00 s\)"),
        (3, 5.0, 24, r"5\.00 s, but the latent has 1 windows \(2\.40 s\)"),
        (3, 4.7, 50, r"4\.70 s, but the latent has 3 windows \(5\.00 s\)"),
    ],
)
def test_tokens_of_a_video_of_another_length_are_refused(windows, seconds, frames, lengths):
    with pytest.raises(SettingsError, match=lengths) as error:
        check_windows(windows, plan_frames(SMALL, frames), seconds)
    assert str(error.value).endswith("use the same length for both.")
    assert error.value.for_node.endswith("connect seconds of AudioX Encode Video to AudioX Empty "
                                         "Latent.")  # fmt: skip


def test_spans_are_seen_from_the_start_of_a_window():
    spans = ((0.0, 1.0), (1.0, 2.0), (1.5, 3.0), (2.0, 2.5), (4.0, 5.0))
    assert spans_in_window(spans, 2.0) == ((0.0, 1.0), (0.0, 0.5), (2.0, 3.0))
    assert spans_in_window(spans, 0.0) == spans


def test_predictions_are_blended_by_the_weights():
    made = plan_frames(SMALL, 42)
    x = torch.zeros(1, 4, 42)
    predict = lambda pieces, group: pieces + torch.tensor([[[0.0]], [[3.0]]])  # noqa: E731
    out = over_windows(x, made, predict)[0, 0]
    assert out.tolist() == pytest.approx([0] * 18 + [1, 2] + [3] * 22)


def test_a_single_window_is_predicted_as_it_is(seeded):
    x, seen = torch.randn(2, 4, 24, generator=seeded), []

    def predict(windows, group):
        seen.append((windows.shape, tuple(group)))
        return 2 * windows

    assert torch.equal(over_windows(x, plan_frames(SMALL, 24), predict), 2 * x)
    assert seen == [((2, 4, 24), ((0, 0),))]


def test_each_window_is_predicted_from_its_own_frames_under_its_number(monkeypatch):
    monkeypatch.setattr(windows, "CPU_ITEMS_AT_ONCE", 8)
    x, seen = torch.arange(100.0).expand(3, 4, 100), []

    def predict(windows, group):
        seen.append((windows[::3, 0, 0].tolist(), [window for window, _ in group]))
        return windows

    made = plan_frames(SMALL, 100)
    torch.testing.assert_close(over_windows(x, made, predict), x)
    # eight items at once, three a batch: two windows a group
    assert [numbers for _, numbers in seen] == [[0, 1], [2, 3], [4, 5]]
    assert [start for starts, _ in seen for start in starts] == list(made.starts)


@settings(deadline=None, max_examples=40)
@given(frames=st.integers(1, 3_000))
def test_the_weights_add_up_to_one_at_every_frame(frames):
    made = plan_frames(LATENT, frames)
    total = torch.zeros(frames)
    for start, weights in zip(made.starts, made.weights(), strict=True):
        total[start : start + made.window] += weights
    torch.testing.assert_close(total, torch.ones(frames))


@settings(deadline=None, max_examples=40)
@given(frames=st.integers(237, 3_000))
def test_frames_without_tokens_are_used_from_the_last_window_only(frames):
    weights = plan_frames(LATENT, frames).weights()
    assert not weights[:-1, 215:].any()
    assert weights[-1, 215:].all()


def test_blending_the_windows_of_a_latent_restores_it(seeded):
    x = torch.randn(3, 64, 969, generator=seeded)
    torch.testing.assert_close(over_windows(x, plan_frames(LATENT, 969), lambda w, _: w), x)


def test_windows_are_predicted_in_groups_of_limited_size(seeded):
    seen = []

    def predict(windows, group):
        seen.append(len(windows))
        return windows

    made, shape = plan_frames(LATENT, 3_000), (2, 64, 3_000)
    over_windows(torch.zeros(shape, device="meta"), made, predict)
    assert max(seen) == ITEMS_AT_ONCE
    assert sum(seen) == 2 * made.windows
    seen.clear()
    over_windows(torch.randn(shape, generator=seeded), made, predict)
    assert seen == [CPU_ITEMS_AT_ONCE] * made.windows  # both items of the batch


def test_windows_that_a_part_does_not_use_are_not_predicted():
    made, seen = plan_frames(SMALL, 100), []

    def predict(pieces, group):
        seen.extend(group)
        return torch.ones_like(pieces)

    out = over_windows(torch.zeros(4, 4, 100), made, predict, [range(2), [1, 3]])
    assert sorted(seen) == [(0, 0), (1, 0), (1, 1), (3, 1)]
    assert out[0, 0, 0] == 1
    assert not out[:2, :, made.starts[1] + made.window :].any()
    assert not out[2:, :, : made.starts[1]].any()
    assert torch.equal(out[2], out[3])


class TestLoops:
    """The windows of a loop wrap around."""

    @pytest.mark.parametrize(
        ("seconds", "frames", "starts"),
        [
            (3, 65, (0,)),
            (8, 172, (0,)),
            (8.97, 193, (0,)),
            (10, 215, (0, 108)),
            (10.96, 236, (0, 118)),
            (30, 646, (0, 162, 323, 484)),
        ],
    )
    def test_windows_are_whole_and_lie_evenly(self, seconds, frames, starts):
        made = plan(LATENT, seconds, loop=True)
        assert (made.frames, made.starts, made.window) == (frames, starts, 236)

    @settings(deadline=None, max_examples=60)
    @given(frames=st.integers(1, 1_500))
    def test_the_weights_add_up_to_one_at_every_frame(self, frames):
        made = plan_frames(LATENT, frames, loop=True)
        total = over_windows(torch.ones(1, 1, frames), made, lambda pieces, _: pieces)
        torch.testing.assert_close(total, torch.ones(1, 1, frames))
        assert not made.weights()[:, LATENT.conditioned_frames :].any()

    @pytest.mark.parametrize("frames", [5, 7, 11, 16, 20, 24, 31, 48, 93])
    def test_a_network_that_looks_around_sees_no_border(self, frames, seeded):
        """A convolution that is zero-padded at each window's borders: the loop has none."""
        made, x = plan_frames(SMALL, frames, loop=True), torch.randn(2, 4, frames, generator=seeded)
        kernel = torch.randn(4, 4, 3, generator=seeded)
        out = over_windows(x, made, lambda pieces, _: conv1d(pieces, kernel, padding=1))
        around = torch.cat([x[..., -1:], x, x[..., :1]], dim=-1)
        torch.testing.assert_close(out, conv1d(around, kernel), rtol=1e-4, atol=1e-5)

    def test_a_shift_of_the_loop_by_a_hop_shifts_the_prediction(self, seeded):
        """Also for a network whose prediction depends on the position in its window."""
        made, x = plan_frames(SMALL, 48, loop=True), torch.randn(1, 4, 48, generator=seeded)
        assert made.starts == (0, 16, 32)
        scale = torch.randn(24, generator=seeded)
        predict = lambda pieces, _: (pieces * scale).cumsum(dim=-1)  # noqa: E731
        shifted = over_windows(x.roll(16, dims=-1), made, predict)
        torch.testing.assert_close(shifted, over_windows(x, made, predict).roll(16, dims=-1))
        by_one = over_windows(x.roll(1, dims=-1), made, predict)
        assert (by_one - over_windows(x, made, predict).roll(1, dims=-1)).abs().max() > 0.1

    def test_the_windows_of_a_part_of_the_time_wrap_around(self):
        made, used = plan_frames(SMALL, 48, loop=True), torch.zeros(48)
        used[0] = 1  # of the last window, which reaches over the end, and of the first
        assert active_windows(used, made) == (2,)
        used[10] = 1
        assert active_windows(used, made) == (0, 2)

    @pytest.mark.parametrize(("windows", "seconds"), [(3, 5.0), (1, 2.0), (2, None)])
    def test_what_has_a_beginning_and_an_end_serves_no_loop(self, windows, seconds):
        with pytest.raises(SettingsError, match="leave --loop out"):
            check_windows(windows, plan_frames(SMALL, 50, loop=True), seconds)
        check_windows(1, plan_frames(SMALL, 50, loop=True))
