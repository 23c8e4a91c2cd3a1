"""Tests of what Debian's packages bring are skipped where they are not installed."""

import pytest

from audiox_core.lab.effects.recordings import FONT, INSTALL, SAMPLES


@pytest.fixture(scope="session")
def _sounds():
    if not (FONT.is_file() and SAMPLES.is_dir()):
        pytest.skip(f"recordings are not installed: {INSTALL}")


@pytest.fixture(scope="session")
def _pictures():
    sprites = pytest.importorskip("audiox_core.lab.effects.sprites")
    if not sprites.FONT.is_file():
        pytest.skip(f"the emoji font is not installed: {INSTALL}")
