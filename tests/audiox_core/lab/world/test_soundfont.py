"""Notes rendered with a sound font."""

import sys

import pytest

from audiox_core.errors import SettingsError
from audiox_core.lab.world import phrase


@pytest.mark.parametrize("package", ["tinysoundfont", "pretty_midi"])
def test_a_missing_package_is_named_with_its_command(package, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(SettingsError, match="pip install --no-deps tinysoundfont pretty_midi"):
        phrase(1, 2.0).audio(8_000)
