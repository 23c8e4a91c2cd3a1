"""Prompts over time: weights that add up to one, and the lines that they are read from."""

import pytest
import torch

from audiox_core.conditioners.inputs import TimeRange
from audiox_core.conditioners.time_weights import (
    latest_end,
    parse_timeline,
    time_weights,
    to_window_end,
)
from audiox_core.config import LatentConfig
from audiox_core.errors import SettingsError
from audiox_core.windows import plan

TICK = 0.1  # seconds of a frame


def test_two_ranges_cross_over_linearly_at_their_border():
    first, second = time_weights([TimeRange(0, 2, 1.0), TimeRange(2, 4, 1.0)], 40, TICK)
    assert first[:15].tolist() == [1.0] * 15
    assert first[15:25].tolist() == pytest.approx([0.95 - 0.1 * k for k in range(10)], abs=1e-5)
    assert first[25:].tolist() == [0.0] * 15
    torch.testing.assert_close(first + second, torch.ones(40))


def test_without_a_fade_the_border_is_between_two_frames():
    first, second = time_weights([TimeRange(0, 2, 0), TimeRange(2, 4, 0)], 40, TICK)
    assert first.tolist() == [1.0] * 20 + [0.0] * 20
    assert second.tolist() == [0.0] * 20 + [1.0] * 20


def test_a_prompt_without_a_range_has_what_is_left():
    middle, rest = time_weights([TimeRange(1, 2, 0.2), None], 40, TICK)
    torch.testing.assert_close(middle + rest, torch.ones(40))
    assert rest[:9].tolist() == [1.0] * 9
    assert rest[11:19].tolist() == [0.0] * 8


def test_a_prompt_that_is_shorter_than_its_crossfade_reaches_its_full_weight():
    short, rest = time_weights([TimeRange(1.0, 1.3, 0.5), None], 40, TICK)
    assert short.max().item() == pytest.approx(1)
    torch.testing.assert_close(short + rest, torch.ones(40))
    ranges = [TimeRange(0, 1.0, 0.5), TimeRange(1.0, 1.3, 0.5), TimeRange(1.3, 4, 0.5)]
    for loop in (False, True):
        before, middle, after = time_weights(ranges, 40, TICK, loop=loop)
        assert middle.max().item() == pytest.approx(1)
        torch.testing.assert_close(middle, short)
        torch.testing.assert_close(before + middle + after, torch.ones(40))


class TestLoops:
    """Behind the last frame comes the first one."""

    def test_the_last_prompt_passes_into_the_first_one(self):
        ranges = [TimeRange(0, 2, 1.0), TimeRange(2, 4, 1.0)]
        first, second = time_weights(ranges, 40, TICK, loop=True)
        torch.testing.assert_close(first + second, torch.ones(40))
        assert first[:5].tolist() == pytest.approx([0.55, 0.65, 0.75, 0.85, 0.95], abs=1e-5)
        assert first[35:].tolist() == pytest.approx([0.05, 0.15, 0.25, 0.35, 0.45], abs=1e-5)
        torch.testing.assert_close(first, second.roll(20))  # the same border twice

    @pytest.mark.parametrize("end", [4.0, 9.0])
    def test_a_prompt_for_all_of_a_loop_has_no_border(self, end):
        (alone,) = time_weights([TimeRange(0, end, 1.0)], 40, TICK, loop=True)
        torch.testing.assert_close(alone, torch.ones(40))

    def test_a_fade_reaches_over_the_end(self):
        late, rest = time_weights([TimeRange(3.6, 4.0, 0.4), None], 40, TICK, loop=True)
        torch.testing.assert_close(late + rest, torch.ones(40))
        assert late[:3].tolist() == pytest.approx([0.375, 0.125, 0.0], abs=1e-5)


def test_overlapping_ranges_share_the_time():
    weights = time_weights([TimeRange(0, 4, 0), TimeRange(2, 4, 0)], 40, TICK)
    assert weights[:, 30].tolist() == [0.5, 0.5]
    assert weights[:, 10].tolist() == [1.0, 0.0]


def test_a_sound_begins_and_ends_at_full_weight():
    (only,) = time_weights([TimeRange(0, 9, 1.0)], 40, TICK)
    assert only.tolist() == [1.0] * 40


def test_ranges_need_not_cover_what_lies_after_a_sound_that_is_shorter_than_a_window():
    given, window = [TimeRange(0, 2.5), TimeRange(2.5, 5)], plan(LatentConfig(), 5.0)
    ranges = to_window_end(given, window, latest_end(given))
    first, second = time_weights(ranges, window.frames, window.frame_seconds)
    assert second[60:].tolist() == [1.0] * (window.frames - 60)  # from 2.8 s on
    torch.testing.assert_close(first + second, torch.ones(window.frames))
    assert to_window_end([*given, None], window, 5.0) == [*given, None]
    for other in (plan(LatentConfig(), 25.0), plan(LatentConfig(), 8.0, loop=True)):
        assert to_window_end(given, other, 5.0) == given


def test_uncovered_seconds_are_named():
    with pytest.raises(SettingsError, match=r"No prompt applies from 2\.00 to 3\.00 s"):
        time_weights([TimeRange(0, 2, 0), TimeRange(3, 4, 0)], 40, TICK)


def test_lines_become_prompts_with_their_times():
    lines = parse_timeline("0-4: rain on a tin roof\n\n4 - 8.5: thunder: far\nwind", 0.25)
    assert lines == [
        (TimeRange(0, 4, 0.25), "rain on a tin roof"),
        (TimeRange(4, 8.5, 0.25), "thunder: far"),
        (None, "wind"),
    ]


@pytest.mark.parametrize(
    "prompt", ["8-bit chiptune music", "4-on-the-floor house", "2 to 4 dogs bark", "3: a waltz"]
)
def test_a_prompt_for_everywhere_else_may_begin_with_a_number(prompt):
    assert parse_timeline(f"0-4: rain\n{prompt}", 0.5)[1] == (None, prompt)


def test_dashes_of_typography_are_accepted():
    lines = parse_timeline("0\u20134: rain\n4 \u2014 6: wind", 0.5)
    assert lines[:2] == [(TimeRange(0, 4, 0.5), "rain"), (TimeRange(4, 6, 0.5), "wind")]


def test_without_a_line_for_everywhere_else_the_empty_prompt_applies_there():
    assert parse_timeline("2-4: bell", 0.5)[-1] == (None, "")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("rain\n4-2: wind", "Line 2: .*must end after its start"),
        ("0-4 rain", "Line 1, '0-4 rain': write the seconds, a colon"),
        ("wind\n0:00-0:04: rain", "Line 2, '0:00-0:04: rain': write the seconds, a colon"),
        ("0 to 4: rain", "Line 1, '0 to 4: rain': write the seconds, a colon"),
        ("0s-4s: rain", "Line 1, '0s-4s: rain': write the seconds, a colon"),
        ("4-: rain", "Line 1, '4-: rain': write the seconds, a colon"),
        (" \n ", "The timeline is empty"),
        ("rain\nwind", "Two lines have no time"),
    ],
)
def test_a_line_that_cannot_be_read_is_named(text, says):
    with pytest.raises(SettingsError, match=says):
        parse_timeline(text, 0.5)
