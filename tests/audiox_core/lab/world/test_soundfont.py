"""Notes rendered with a sound font."""

import sys
from pathlib import Path

import pytest
import torch

from audiox_core.errors import SettingsError
from audiox_core.lab.world import phrase, soundfont


@pytest.mark.parametrize("package", ["tinysoundfont", "pretty_midi"])
def test_a_missing_package_is_named_with_its_command(package, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(SettingsError, match="pip install --no-deps tinysoundfont pretty_midi"):
        phrase(1, 2.0).audio(8_000)


def test_a_missing_fluid_font_is_named_with_its_command(monkeypatch):
    monkeypatch.setattr(soundfont, "FLUID", Path("missing.sf2"))
    with pytest.raises(
        SettingsError, match=r"missing\.sf2: run `apt-get install fluid-soundfont-gm"
    ):
        phrase(1, 2.0, mellow=True).audio(8_000)


@pytest.mark.usefixtures("effects", "music")
def test_mellow_music_is_lower_and_has_weak_overtones():
    def low_share(mellow):
        """Share of the energy below 600 Hz."""
        shares = []
        for seed in range(4):
            sound = phrase(seed, 6.0, mellow=mellow).audio(16_000).mean(dim=0)
            power = torch.fft.rfft(sound).abs().square()
            shares.append((power[: 600 * 6].sum() / power.sum()).item())
        return sum(shares) / len(shares)

    assert low_share(True) > 0.8
    assert low_share(True) > low_share(False) + 0.1
