"""What the tests of the recorded effects share."""

import pytest

from audiox_core.lab.effects import recordings, sprites


@pytest.fixture(scope="session")
def effect_packages():
    """Skip a test where the recordings and the pictures of the effects are not installed."""
    if not all(path.exists() for path in (recordings.FONT, recordings.SAMPLES, sprites.FONT)):
        pytest.skip(recordings.INSTALL)
