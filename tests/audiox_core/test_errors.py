"""Errors for users: one line each, and all caught as one kind."""

import pytest

from audiox_core.errors import AudioXError, MediaError, SettingsError, WeightsError


@pytest.mark.parametrize("kind", [MediaError, SettingsError, WeightsError])
def test_every_error_is_caught_as_an_audiox_error(kind):
    with pytest.raises(AudioXError, match="rain"):
        raise kind("no rain")


def test_a_message_of_several_lines_becomes_one_line():
    assert str(MediaError("moov atom\n  not found\t.")) == "moov atom not found ."
