"""Packages that not every machine has."""

from importlib.util import find_spec

import pytest

from audiox_core.lab.effects import recordings
from audiox_core.lab.world import soundfont


@pytest.fixture(scope="session")
def effects() -> None:
    """The recorded effects and the font of their pictures, or the test is skipped."""
    pytest.importorskip("PIL", reason="no Pillow: pip install pillow")
    if not recordings.installed():
        pytest.skip(f"no recorded effects: {recordings.INSTALL}")


@pytest.fixture(scope="session")
def music() -> None:
    """The sound font of the music, or the test is skipped."""
    if not all(map(find_spec, ("tinysoundfont", "pretty_midi"))):
        pytest.skip(soundfont.INSTALL)
