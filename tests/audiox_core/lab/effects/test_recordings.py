"""Recordings out of a sound font and of files."""

import struct

import numpy as np
import pytest

from audiox_core.errors import SettingsError
from audiox_core.lab.effects import recordings
from audiox_core.lab.effects.recordings import recording, resample

RATE = 44_100


@pytest.fixture
def font(tmp_path, monkeypatch):
    """A sound font with one sample, a tone of 500 Hz at 22,050 Hz for 0.2 s after silence."""
    tone = np.sin(2 * np.pi * 500 * np.arange(4_410) / 22_050)
    samples = np.concatenate([np.zeros(100), 0.5 * tone]) * 32_767
    header = recordings.HEADER.pack(b"Beep", 0, samples.size, 0, 0, 22_050, 60, 0, 0, 1)

    def chunk(name, body):
        return name + struct.pack("<I", len(body)) + body + b"\0" * (len(body) % 2)

    sound = chunk(b"LIST", b"sdta" + chunk(b"smpl", samples.astype("<i2").tobytes()))
    presets = chunk(b"LIST", b"pdta" + chunk(b"odd ", b"x") + chunk(b"shdr", header))
    path = tmp_path / "font.sf2"
    path.write_bytes(chunk(b"RIFF", b"sfbk" + sound + presets))
    monkeypatch.setattr(recordings, "FONT", path)
    monkeypatch.setattr(recordings, "SAMPLES", tmp_path)
    recordings._font.cache_clear()
    recording.cache_clear()
    yield path
    recordings._font.cache_clear()
    recording.cache_clear()


def pitch(sound, rate):
    return np.abs(np.fft.rfft(sound)).argmax() * rate / sound.size


def test_a_sample_of_a_font_is_read_at_the_rate_that_is_asked_for(font):
    sound = recording("Beep", RATE)
    assert sound.size == pytest.approx(0.2 * RATE, rel=0.05)
    assert pitch(sound, RATE) == pytest.approx(500, abs=6)
    assert np.abs(sound).max() == pytest.approx(1)


def test_the_shared_array_cannot_be_changed(font):
    with pytest.raises(ValueError, match="read-only"):
        recording("Beep", RATE)[0] = 1


def test_a_missing_font_says_what_to_install(font):
    font.unlink()
    with pytest.raises(SettingsError, match="apt-get install fluid-soundfont-gs"):
        recording("Beep", RATE)


def test_a_damaged_font_says_what_to_do(font):
    font.write_bytes(b"RIFF" + bytes(60))
    with pytest.raises(SettingsError, match="is no sound font: run `apt-get install --reinstall"):
        recording("Beep", RATE)


def test_an_unknown_sample_is_named(font):
    with pytest.raises(SettingsError, match="has no sample 'Moo'"):
        recording("Moo", RATE)


def test_a_missing_file_says_what_to_install(font):
    with pytest.raises(SettingsError, match=r"apt-get install .*sonic-pi-samples"):
        recording("bell.flac", RATE)


@pytest.mark.parametrize("factor", [0.7, 1.0, 1.5])
def test_resampling_changes_length_and_pitch(factor):
    sound = np.sin(2 * np.pi * 1_000 * np.arange(8_820) / RATE).astype(np.float32)
    other = resample(sound, factor)
    assert other.size == round(8_820 * factor)
    assert pitch(other, RATE) == pytest.approx(1_000 / factor, abs=8)
    assert np.abs(other).max() == pytest.approx(1, abs=0.15)


@pytest.mark.usefixtures("effects")
def test_the_installed_recordings_are_found():
    dog, bell = recording("Dog Bark", RATE), recording("perc_bell.flac", RATE)
    assert 0.15 < dog.size / RATE < 0.3
    assert bell.size / RATE > 0.5
