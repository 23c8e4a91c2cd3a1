"""How prompts and spans of seconds are written, and which are refused."""

import math

import pytest

from audiox_core.conditioners.inputs import (
    MAX_CHARACTERS,
    TimeRange,
    check_prompt,
    check_spans,
    parse_hidden,
    parse_spans,
)
from audiox_core.errors import SettingsError


def test_spans_are_read_per_modality():
    assert parse_hidden("video:0-2, 5.5-8,audio:5-8") == {
        "video": ((0.0, 2.0), (5.5, 8.0)),
        "audio": ((5.0, 8.0),),
    }


@pytest.mark.parametrize(
    "text", ["0-2", "text:0-2", "video:2-1", "video:1-1", "video", "video:-1-2", "", ",,"]
)
def test_other_hidden_spans_are_refused(text):
    with pytest.raises(SettingsError, match=r"for example|end after its start"):
        parse_hidden(text)


def test_spans_of_seconds_are_read():
    assert parse_spans(" 0-2, .5 - 1., 10-11.25,") == ((0.0, 2.0), (0.5, 1.0), (10.0, 11.25))


@pytest.mark.parametrize(
    "text", ["", "2", "2-", "1-1", "2-1", "a-b", "1-2-3", "video:0-2", "1e3-2"]
)
def test_other_spans_are_refused(text):
    with pytest.raises(SettingsError, match=r"for example|end after its start"):
        parse_spans(text)


def test_a_modality_may_be_named_again():
    assert parse_hidden("audio:0-1,video:2-3,audio:4-5") == {
        "audio": ((0.0, 1.0), (4.0, 5.0)),
        "video": ((2.0, 3.0),),
    }


@pytest.mark.parametrize(
    ("spans", "message"),
    [
        (3, "is not a list of time ranges"),
        (((0, 1, 2),), "is not a list of time ranges"),
        ((("a", 1),), "The time range 'a'-1 is not valid"),
        (((0, math.inf),), "The time range 0-inf is not valid"),
        ([(0, 1)] * 1_001, "There are 1,001 time ranges: use at most 1,000"),
    ],
)
def test_values_that_are_no_spans_are_refused(spans, message):
    with pytest.raises(SettingsError, match=message):
        check_spans(spans)


@pytest.mark.parametrize("wrong", [(2, 2), (3, 1), (-1, 2), (0, math.nan), (0, math.inf)])
def test_a_range_that_no_sound_has_is_refused(wrong):
    with pytest.raises(SettingsError, match="time range"):
        TimeRange(*wrong).check()


@pytest.mark.parametrize(
    ("prompt", "message"),
    [(None, "The prompt is a NoneType"), ("x" * (MAX_CHARACTERS + 1), "has 4,097 characters")],
)
def test_a_prompt_that_is_no_text_or_far_too_long_is_refused(prompt, message):
    check_prompt("x" * MAX_CHARACTERS)
    with pytest.raises(SettingsError, match=message):
        check_prompt(prompt)
