"""Sound of any kind to stereo at any rate, exactly in time, and back to a file."""

import math
from fractions import Fraction

import av
import numpy as np
import pytest
import torch

from audiox_core.errors import MediaError, SettingsError
from audiox_core.lab.bench.memory import peak_bytes
from audiox_core.media import audio
from audiox_core.media.audio import (
    BLOCK,
    peak_normalize,
    read_audio,
    sample_peak,
    to_int16,
    write_audio,
)
from audiox_core.media.decode import to_stereo
from audiox_core.media.ducking import presence
from audiox_core.media.formats import AUDIO_FORMATS, AUDIO_SUFFIXES

LOSSY = [suffix for suffix, (_, codec) in AUDIO_FORMATS.items() if codec.bit_rate]
LOSSLESS = [suffix for suffix in AUDIO_SUFFIXES if suffix not in LOSSY]


def tone(seconds: float, rate: int, frequency: float = 440.0) -> np.ndarray:
    return 0.8 * np.sin(2 * np.pi * frequency * np.arange(round(seconds * rate)) / rate)


def in_format(wave: np.ndarray, kind: str) -> np.ndarray:
    """-1..1 to the numbers of a sample format."""
    if kind.startswith("u8"):
        return np.round(wave * 127 + 128).astype(np.uint8)
    if kind.startswith("s"):
        bits = int(kind.strip("sp"))
        return (wave * (2 ** (bits - 1) - 1)).astype(f"int{bits}")
    return wave.astype(np.float64 if kind.startswith("dbl") else np.float32)


@pytest.mark.parametrize(
    ("name", "codec", "kind", "tolerance"),
    [
        ("a.wav", "pcm_u8", "u8", 1 / 64),
        ("a.wav", "pcm_s16le", "s16", 1e-4),
        ("a.wav", "pcm_s24le", "s32", 1e-6),
        ("a.wav", "pcm_s32le", "s32", 1e-6),
        ("a.wav", "pcm_f32le", "flt", 1e-6),
        ("a.wav", "pcm_f64le", "dbl", 1e-6),
        ("a.flac", "flac", "s16", 1e-4),
        ("a.mkv", "pcm_s16le", "s16", 1e-4),
    ],
)
def test_every_sample_format_is_read_at_its_scale(sound_file, name, codec, kind, tolerance):
    wave = np.stack([tone(0.5, 44_100), -0.5 * tone(0.5, 44_100, 660)])
    path = sound_file(name, in_format(wave, kind), 44_100, codec=codec, kind=kind, layout="stereo")
    read = read_audio(path)
    assert read.dtype == torch.float32
    torch.testing.assert_close(read, torch.from_numpy(wave).float(), atol=tolerance, rtol=0)


def test_old_telephone_sound_is_read(sound_file):
    wave = in_format(tone(1.0, 8_000)[None], "u8")
    path = sound_file("a.wav", wave, 8_000, codec="pcm_u8", kind="u8", layout="mono")
    read = read_audio(path)
    assert read.shape == (2, 44_100)
    assert torch.equal(read[0], read[1])
    expected = torch.from_numpy(tone(1.0, 44_100)).float()
    torch.testing.assert_close(read[0, 500:-500], expected[500:-500], atol=0.02, rtol=0)


def test_studio_sound_is_read(sound_file):
    wave = in_format(np.stack([tone(1.0, 96_000)] * 2), "s32")
    path = sound_file("a.wav", wave, 96_000, codec="pcm_s24le", kind="s32", layout="stereo")
    read = read_audio(path)
    assert read.shape == (2, 44_100)
    expected = torch.from_numpy(tone(1.0, 44_100)).float()
    torch.testing.assert_close(read[0, 500:-500], expected[500:-500], atol=0.01, rtol=0)


def test_one_channel_goes_to_both_at_its_own_level(sound_file):
    wave = in_format(tone(0.2, 44_100)[None], "s16")
    path = sound_file("a.wav", wave, 44_100, codec="pcm_s16le", kind="s16", layout="mono")
    read = read_audio(path)
    assert torch.equal(read[0], read[1])
    assert read.abs().max() == pytest.approx(0.8, abs=1e-3)


@pytest.mark.parametrize(
    ("speaker", "left", "right"),
    [(0, 1, 0), (1, 0, 1), (2, 0.707, 0.707), (3, 0, 0), (4, 0.707, 0)],
)
def test_surround_is_mixed_by_where_the_speakers_stand(sound_file, speaker, left, right):
    wave = np.zeros((6, 4_410))
    wave[speaker] = tone(0.1, 44_100)
    path = sound_file(
        "a.wav", in_format(wave, "s16"), 44_100, codec="pcm_s16le", kind="s16", layout="5.1"
    )
    peaks = read_audio(path).abs().amax(dim=1)
    assert peaks.tolist() == pytest.approx([0.8 * left, 0.8 * right], abs=1e-3)


def test_the_first_audio_track_that_can_be_decoded_is_read(field):
    found = read_audio(field / "apac_first.mp4")
    assert found.shape[-1] == pytest.approx(2 * 44_100, abs=2_048)
    assert found.abs().max() > 0.01


@pytest.mark.parametrize("rate", [999, 768_001, 999_999_999])
def test_an_absurd_sample_rate_is_refused_from_the_header(sound_file, rate):
    path = sound_file(
        "a.wav", np.zeros((1, 800), np.int16), 8_000, codec="pcm_s16le", kind="s16", layout="mono"
    )
    data = bytearray(path.read_bytes())
    data[24:28] = rate.to_bytes(4, "little")
    path.write_bytes(data)
    with pytest.raises(MediaError, match=rf"sample rate of {rate:,} Hz"):
        read_audio(path)


def test_channels_of_an_unknown_layout_are_averaged():
    mixed = to_stereo(torch.tensor([[0.0], [0.3], [0.6]]), ["NONE"] * 3)
    torch.testing.assert_close(mixed, torch.tensor([[0.3], [0.3]]))


@pytest.mark.parametrize("rate", [8_000, 44_100, 48_000])
def test_the_wanted_rate_is_given(sound_file, rate):
    wave = in_format(np.stack([tone(1.0, 22_050)] * 2), "s16")
    path = sound_file("a.wav", wave, 22_050, codec="pcm_s16le", kind="s16", layout="stereo")
    assert read_audio(path, sample_rate=rate).shape == (2, rate)


@pytest.mark.parametrize(
    "made",
    [  # name, codec, sample format, rate, tolerance
        ("a.wav", "pcm_s16le", "s16", 44_100, 0),
        ("a.wav", "pcm_s16le", "s16", 48_000, 1e-6),
        ("a.flac", "flac", "s16", 48_000, 1e-6),
        ("a.mp3", "libmp3lame", "fltp", 48_000, 1e-4),
        ("a.m4a", "aac", "fltp", 48_000, 1e-4),
        ("a.mkv", "aac", "fltp", 48_000, 1e-4),  # whose clock ticks in milliseconds
        ("a.opus", "libopus", "flt", 48_000, 1e-4),
    ],
    ids=lambda made: "-".join(map(str, made[:4])),
)
@pytest.mark.parametrize(("start", "seconds"), [(0.0, 1.0), (0.3333, 0.5), (4.321, 0.777)])
def test_a_piece_is_the_cut_from_the_whole(sound_file, sweep, made, start, seconds):
    name, codec, kind, rate, tolerance = made
    wave = in_format(sweep(rate, 12_000, 6.0).expand(2, -1).numpy() * 0.5, kind)
    path = sound_file(name, wave, rate, codec=codec, kind=kind, layout="stereo")
    whole = read_audio(path)
    piece = read_audio(path, start=start, seconds=seconds)
    begin, count = round(start * 44_100), round(seconds * 44_100)
    assert piece.shape == (2, count)
    cut = whole[:, begin : begin + count]
    torch.testing.assert_close(piece, cut, atol=tolerance, rtol=0)


@pytest.mark.parametrize("made", [("a.m4a", "aac", "fltp"), ("a.opus", "libopus", "flt")])
def test_the_silence_that_codecs_put_before_and_after_is_cut(sound_file, noise, delay, made):
    name, codec, kind = made
    wave = noise(2, 48_000)
    path = sound_file(name, wave.numpy(), 48_000, codec=codec, kind=kind, layout="stereo")
    read = read_audio(path, sample_rate=48_000)
    assert read.shape == wave.shape
    assert delay(read[0], wave[0]) == 0


def test_only_the_wanted_part_is_decoded(sound_file, monkeypatch):
    wave = np.zeros((2, 60 * 44_100), np.int16)
    path = sound_file("a.wav", wave, 44_100, codec="pcm_s16le", kind="s16", layout="stereo")
    seconds = 0
    blocks = audio.stereo_blocks

    def counting(*arguments):
        nonlocal seconds
        for block in blocks(*arguments):
            seconds += block.samples.shape[-1] / block.rate
            yield block

    monkeypatch.setattr(audio, "stereo_blocks", counting)
    assert read_audio(path, start=50, seconds=1).shape == (2, 44_100)
    assert seconds < 4


def test_the_sound_ends_where_the_file_ends(sound_file):
    path = sound_file(
        "a.wav", np.ones((1, 8_000), np.int16), 8_000, codec="pcm_s16le", kind="s16", layout="mono"
    )
    assert read_audio(path, sample_rate=8_000, start=0.75, seconds=9).shape == (2, 2_000)


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
def test_the_sound_of_a_video_counts_from_its_first_frame(clip, noise, delay, name):
    sound = noise(2)
    times = [100 + 4 * k for k in range(50)]  # the picture begins at 1 s, the sound with it
    path = clip(name, frames=50, times=times, tick=Fraction(1, 100), sound=sound)
    assert delay(read_audio(path)[0], sound[0]) == pytest.approx(0, abs=44)  # 1 ms: Matroska


def test_silence_stands_for_sound_that_begins_late(clip, noise, tmp_path):
    path = tmp_path / "late.mkv"
    with av.open(str(clip(frames=75))) as source, av.open(str(path), "w") as target:
        picture = target.add_stream_from_template(source.streams.video[0])
        heard = target.add_stream("aac", rate=44_100)
        for packet in source.demux(video=0):
            if packet.size:
                packet.stream = picture
                target.mux(packet)
        frame = av.AudioFrame.from_ndarray(noise(1).numpy(), "fltp", "stereo")
        frame.sample_rate, frame.pts, frame.time_base = 44_100, 44_100, Fraction(1, 44_100)
        target.mux(heard.encode(frame))
        target.mux(heard.encode(None))
    read = read_audio(path)
    assert not read[:, : 44_100 - 2_048].any()
    assert read[:, 44_100 + 2_048 :].abs().max() > 0.05
    only_silence = read_audio(path, seconds=0.5)
    assert only_silence.shape == (2, 22_050)
    assert not only_silence.any()


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_nan_sample_is_an_error_that_names_its_time(sound_file, bad):
    wave = tone(2.0, 8_000)[None].astype(np.float32)
    wave[0, 12_000] = bad
    path = sound_file("a.wav", wave, 8_000, codec="pcm_f32le", kind="flt", layout="mono")
    with pytest.raises(MediaError, match=r"at 1\.500 s"):
        read_audio(path)
    assert read_audio(path, seconds=1.0).isfinite().all()


@pytest.mark.parametrize("suffix", LOSSLESS)
def test_a_truncated_audio_file_is_refused(tmp_path, noise, suffix):
    path = tmp_path / f"a{suffix}"
    write_audio(path, noise(3), 44_100)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(MediaError, match="is truncated"):
        read_audio(path)


def test_a_picture_alone_has_no_sound(clip):
    with pytest.raises(MediaError, match="has no audio"):
        read_audio(clip())


@pytest.mark.parametrize("start", [1.0, 60.0])
def test_a_start_after_the_end_is_an_error(sound_file, start):
    path = sound_file(
        "a.wav", np.ones((1, 8_000), np.int16), 8_000, codec="pcm_s16le", kind="s16", layout="mono"
    )
    with pytest.raises(MediaError, match="earlier start"):
        read_audio(path, start=start)


@pytest.mark.parametrize(
    "wrong", [{"start": -0.1}, {"seconds": 0.0}, {"sample_rate": 0}, {"start": math.inf}], ids=str
)
def test_values_out_of_range_are_refused(sound_file, wrong):
    path = sound_file(
        "a.wav", np.ones((1, 80), np.int16), 8_000, codec="pcm_s16le", kind="s16", layout="mono"
    )
    with pytest.raises(SettingsError):
        read_audio(path, **wrong)


def test_real_surround_sound_is_read(clips):
    whole = read_audio(clips / "bigbuckbunny.mp4")
    assert whole.shape[0] == 2
    assert whole.shape[1] == pytest.approx(5.312 * 44_100, abs=2)
    assert 0.01 < whole.abs().max() <= 1
    piece = read_audio(clips / "bigbuckbunny.mp4", start=2.5, seconds=1)
    torch.testing.assert_close(piece, whole[:, 110_250:154_350], atol=1e-6, rtol=0)


def test_each_item_is_brought_to_full_scale_by_itself():
    waves = torch.tensor([[[0.1, -0.2], [0.0, 0.1]], [[3.0, 0.0], [-6.0, 0.0]], [[0.0, 0.0]] * 2])
    made = peak_normalize(waves)
    assert made.abs().amax(dim=(1, 2)).tolist() == [1.0, 1.0, 0.0]
    torch.testing.assert_close(made[0], torch.tensor([[0.5, -1.0], [0.0, 0.5]]))
    assert torch.equal(peak_normalize(waves[0]), made[0])


def test_samples_are_cut_and_rounded_towards_zero():
    wave = torch.tensor([[-2.0, -1.0, -0.99999, 0.0, 0.5, 0.99999, 1.0, 2.0]])
    expected = [-32_767, -32_767, -32_766, 0, 16_383, 32_766, 32_767, 32_767]
    assert to_int16(wave).tolist() == [expected]
    assert to_int16(wave).dtype == torch.int16


@pytest.mark.parametrize("suffix", LOSSLESS)
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("rate", [44_100, 16_000])
def test_written_audio_is_read_back_equal(tmp_path, noise, suffix, channels, rate):
    wave = noise(0.7, rate)[:channels]
    path = tmp_path / f"a{suffix.upper()}"
    write_audio(path, wave, rate)
    read = read_audio(path, sample_rate=rate)
    assert torch.equal(read * 32_768, to_int16(wave).float().expand(2, -1))
    with av.open(str(path)) as container:
        assert container.streams.audio[0].rate == rate
        assert container.streams.audio[0].format.name.startswith("s16")
        assert container.streams.audio[0].channels == channels
    assert [found.name for found in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("suffix", LOSSY)
@pytest.mark.parametrize(("rate", "seconds"), [(44_100, 1.5), (48_000, 0.05), (96_000, 0.6)])
def test_compressed_audio_has_its_length_and_no_delay(
    tmp_path, noise, delay, suffix, rate, seconds
):
    """Encoders add silence before the sound and after it; the file says how much."""
    wave = noise(seconds, rate)
    path = tmp_path / f"a{suffix}"
    write_audio(path, wave, rate)
    read = read_audio(path, sample_rate=rate)
    assert read.shape[-1] - wave.shape[-1] in (0, 1, 2)  # less than a sample at the stored rate
    read = read[:, : wave.shape[-1]]
    assert delay(read[0], wave[0]) == 0
    assert (read - wave).square().mean() < 0.1 * wave.square().mean()
    assert [found.name for found in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("suffix", LOSSY)
def test_a_single_channel_and_low_rates_are_compressed(tmp_path, noise, suffix):
    path = tmp_path / f"a{suffix}"
    write_audio(path, 2 * noise(0.5, 8_000)[:1], 8_000)
    read = read_audio(path, sample_rate=8_000)
    assert read.shape == (2, 4_000)
    assert torch.equal(read[0], read[1])
    assert read.abs().max() < 1.2  # cut at full scale, not wrapped around


@pytest.mark.parametrize("name", ["a.mid", "a", "a.wav.txt"])
def test_an_unsupported_suffix_is_an_error_that_lists_the_supported_ones(tmp_path, name):
    with pytest.raises(SettingsError, match=r"\.wav, \.flac, \.mp3"):
        write_audio(tmp_path / name, torch.zeros(2, 10), 44_100)


@pytest.mark.parametrize(
    "wave",
    [torch.zeros(10), torch.zeros(3, 10), torch.zeros(2, 0), torch.full((2, 10), math.nan)],
    ids=["flat", "three", "none", "nan"],
)
def test_an_invalid_waveform_is_not_written(tmp_path, wave):
    with pytest.raises(SettingsError, match="waveform"):
        write_audio(tmp_path / "a.wav", wave, 44_100)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("dtype", [torch.float16, torch.float64])
def test_another_default_dtype_changes_nothing(field, clips, dtype):
    """Other packs set one."""
    paths = (field / "centre51.mp4", clips / "bigbuckbunny.mp4")
    expected = [read_audio(path, start=0.5, seconds=0.5) for path in paths]
    torch.set_default_dtype(dtype)
    try:
        found = [read_audio(path, start=0.5, seconds=0.5) for path in paths]
        levels = presence(found[1], 44_100)
    finally:
        torch.set_default_dtype(torch.float32)
    assert all(torch.equal(*pair) for pair in zip(found, expected, strict=True))
    assert torch.equal(levels, presence(expected[1], 44_100))


@pytest.mark.parametrize(("samples", "peak"), [([0.5, -0.75], 0.75), ([0.5], 0.5), ([0.0], 0)])
def test_the_sample_peak_is_the_largest_magnitude(samples, peak):
    assert sample_peak(torch.tensor([samples])) == peak


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_the_sample_peak_of_a_broken_sound_is_not_finite(value):
    assert not math.isfinite(sample_peak(torch.tensor([[0.5, value, -0.5]])))


def test_a_sound_is_scaled_in_place_on_demand():
    wave = torch.tensor([[0.25, -0.5]])
    assert peak_normalize(wave, in_place=True) is wave
    assert wave.tolist() == [[0.5, -1.0]]


@pytest.mark.parametrize("suffix", AUDIO_SUFFIXES)
def test_writing_takes_no_copy_of_the_sound(tmp_path, suffix):
    wave = torch.zeros(2, 50 * BLOCK)
    held = peak_bytes(lambda: write_audio(tmp_path / f"a{suffix}", wave, 44_100))
    assert held < wave.nbytes / 4  # a few blocks, more where each is resampled
