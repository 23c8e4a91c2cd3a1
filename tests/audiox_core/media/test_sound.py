"""Audio in memory."""

import re
from base64 import b64decode

import numpy as np
import pytest
import torch

from audiox_core.errors import MediaError, SettingsError
from audiox_core.media.audio import read_audio, write_audio
from audiox_core.media.sound import Sound, as_tensor, read_sound

MONO = np.array([0.0, 0.5, -0.5], np.float32)


@pytest.mark.parametrize(
    "waveform",
    [MONO, MONO[None], torch.from_numpy(MONO), [0.0, 0.5, -0.5], MONO.astype(np.float64)],
    ids=["n", "1 n", "tensor", "list", "float64"],
)
def test_a_single_channel_becomes_stereo(waveform):
    sound = Sound(waveform if isinstance(waveform, torch.Tensor) else np.asarray(waveform), 8_000)
    assert sound.stereo().tolist() == [[0.0, 0.5, -0.5]] * 2


def test_two_channels_are_taken_as_they_are():
    wave = torch.linspace(-1, 1, 10).view(2, 5)
    assert torch.equal(Sound(wave, 8_000).stereo(), wave)


@pytest.mark.parametrize(
    ("dtype", "values"),
    [(np.int16, [0, 16_384, -32_768]), (np.int32, [0, 2**30, -(2**31)]), (np.uint8, [128, 192, 0])],
)
def test_integers_are_scaled_to_full_scale(dtype, values):
    assert Sound(np.array(values, dtype), 8_000).stereo()[0].tolist() == [0.0, 0.5, -1.0]


@pytest.mark.parametrize(
    ("waveform", "rate", "says"),
    [
        (np.zeros((44_100, 2), np.float32), 44_100, r"\(44100, 2\).*pass its transpose"),
        (np.zeros((6, 100), np.float32), 44_100, "mix it to two channels first"),
        (np.zeros((2, 2, 5), np.float32), 44_100, r"expected \(channels, samples\)"),
        (np.zeros((2, 0), np.float32), 44_100, r"expected \(channels, samples\)"),
        (np.zeros((2, 5), np.int64), 44_100, "use floats in -1..1, int16 or int32"),
        (np.array(["a"]), 44_100, "pass an array or a tensor of numbers"),
        (MONO, 0, "sample_rate is 0 Hz"),
        (MONO, "44100", "sample_rate is '44100' Hz"),
    ],
)
def test_audio_of_another_shape_or_type_is_one_clear_error(waveform, rate, says):
    with pytest.raises(SettingsError, match=says):
        Sound(waveform, rate).stereo()


def test_audio_in_memory_is_read_as_the_file_of_it_would_be(tmp_path, noise):
    wave = noise(0.5)
    write_audio(tmp_path / "a.wav", wave, 44_100)
    file = read_audio(tmp_path / "a.wav", sample_rate=16_000, seconds=0.25)
    memory = read_sound(Sound(wave.numpy(), 44_100), sample_rate=16_000, seconds=0.25)
    assert memory.shape == file.shape == (2, 4_000)
    assert (memory - file).abs().max() < 2e-3  # the file has 16 bits; and the piece has an end


def test_a_path_is_read_from_its_file(tmp_path):
    with pytest.raises(MediaError, match=r"There is no file .*nowhere\.wav"):
        read_sound(tmp_path / "nowhere.wav", sample_rate=8_000)


def test_samples_that_are_no_numbers_are_refused():
    with pytest.raises(SettingsError, match="NaN or infinite"):
        read_sound(Sound(np.array([0.0, np.nan]), 8_000), sample_rate=8_000)


def test_a_sound_shows_its_length_and_no_samples():
    assert repr(Sound(np.zeros(12_000), 8_000)) == "Sound(1.50 s at 8000 Hz)"


def test_a_sound_plays_in_a_notebook(tmp_path, noise, delay):
    wave = noise(1.0)
    html = Sound(wave, 44_100)._repr_html_()
    (data,) = re.fullmatch(
        r'<audio controls src="data:audio/mpeg;base64,([\w+/=]+)"></audio>', html
    ).groups()
    (tmp_path / "a.mp3").write_bytes(b64decode(data))
    read = read_audio(tmp_path / "a.mp3")
    assert read.shape == wave.shape
    assert delay(read[0], wave[0]) == 0


def test_samples_as_an_array_are_those_of_the_tensor():
    wave = torch.linspace(-1, 1, 10).view(2, 5)
    assert np.array_equal(Sound(wave, 8_000).to_numpy(), wave.numpy())
    assert Sound(MONO, 8_000).to_numpy() is MONO


def test_an_array_shares_its_memory_and_a_read_only_one_is_copied():
    array = np.zeros(3, np.float32)
    assert as_tensor(array, "It").data_ptr() == array.ctypes.data
    array.flags.writeable = False
    assert as_tensor(array, "It").data_ptr() != array.ctypes.data
