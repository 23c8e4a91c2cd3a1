"""Conditioners with v1's numbers of frames and tokens."""

import pytest

from audiox_core import load_checkpoint


@pytest.fixture(scope="session")
def toy_checkpoint(toy):
    return load_checkpoint(toy, device="cpu")
