"""Tests of what Debian's packages bring are skipped where they are not installed."""

import pytest

from audiox_core.lab.effects.recordings import EMOJI, FONT, INSTALL, SAMPLES


@pytest.fixture(scope="session")
def _sounds():
    if not (FONT.is_file() and SAMPLES.is_dir()):
        pytest.skip(f"recordings are not installed: {INSTALL}")


@pytest.fixture(scope="session")
def _pictures():
    pytest.importorskip("PIL", reason="no Pillow: pip install pillow")
    if not EMOJI.is_file():
        pytest.skip(f"the emoji font is not installed: {INSTALL}")
