"""Resampling: exact times, exact lengths, the same numbers with and without torchaudio."""

import sys

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from audiox_core.errors import SettingsError
from audiox_core.media import resample as resampling
from audiox_core.media.resample import (
    resample,
    resample_blocks,
    resample_by_ffmpeg,
    resample_by_sinc,
    resample_loop,
)

RATES = [(48_000, 44_100), (44_100, 48_000), (8_000, 44_100), (96_000, 44_100), (44_100, 16_000)]
EVERY_WAY = pytest.mark.parametrize("change", [resample, resample_by_sinc, resample_by_ffmpeg])


@pytest.fixture
def torchaudio():
    return pytest.importorskip("torchaudio", exc_type=(ImportError, OSError, RuntimeError))


@pytest.fixture
def chosen_again():
    """The choice of a resampler is made once a process: forget it around a test."""
    resampling._resampler.cache_clear()
    yield
    resampling._resampler.cache_clear()


@pytest.fixture
def no_torchaudio(monkeypatch, chosen_again):
    """As on a host without torchaudio."""
    monkeypatch.setitem(sys.modules, "torchaudio", None)
    monkeypatch.setitem(sys.modules, "torchaudio.functional", None)


@pytest.mark.parametrize(("rate", "other"), [*RATES, (11_025, 44_100), (44_100, 32_000), (3, 2)])
@pytest.mark.parametrize("length", [1, 50, 4_001])
def test_the_sinc_filter_gives_the_numbers_of_torchaudio(torchaudio, seeded, rate, other, length):
    wave = torch.rand(2, length, generator=seeded) * 2 - 1
    expected = torchaudio.functional.resample(wave, rate, other)
    torch.testing.assert_close(resample_by_sinc(wave, rate, other), expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize(("rate", "other"), RATES)
def test_ffmpeg_gives_nearly_the_numbers_of_the_sinc_filter(delay, sweep, rate, other):
    wave = sweep(rate, other)
    by_ffmpeg, by_sinc = resample_by_ffmpeg(wave, rate, other), resample_by_sinc(wave, rate, other)
    assert by_ffmpeg.shape == by_sinc.shape
    assert (by_ffmpeg - by_sinc).abs().max() < 0.01  # of a peak of 1
    assert delay(by_ffmpeg[0], by_sinc[0]) == 0


@pytest.mark.parametrize(("rate", "other"), RATES)
@EVERY_WAY
def test_resampling_keeps_time(change, rate, other):
    time = torch.arange(rate, dtype=torch.float64) / rate
    new_time = torch.arange(other, dtype=torch.float64) / other
    made = change(torch.sin(2 * torch.pi * 440 * time).float()[None], rate, other)
    expected = torch.sin(2 * torch.pi * 440 * new_time).float()[None]
    torch.testing.assert_close(made[:, 200:-200], expected[:, 200:-200], atol=5e-3, rtol=0)


@pytest.mark.parametrize(("rate", "other"), RATES)
@pytest.mark.parametrize("length", [1, 2, 50, 997])
def test_ffmpeg_treats_the_ends_as_the_sinc_filter_does(seeded, rate, other, length):
    wave = torch.rand(1, length, generator=seeded) - 0.5
    wave = torch.nn.functional.avg_pool1d(wave, 9, 1, 4)
    made, expected = resample_by_ffmpeg(wave, rate, other), resample_by_sinc(wave, rate, other)
    torch.testing.assert_close(made, expected, atol=0.02, rtol=0)


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 3_000), st.sampled_from([*RATES, (11_025, 44_100)]))
def test_resampled_lengths_are_exact(length, rates):
    rate, other = rates
    expected = -(-length * other // rate)
    for change in (resample, resample_by_sinc, resample_by_ffmpeg):
        assert change(torch.zeros(2, length), rate, other).shape == (2, expected)


@pytest.mark.parametrize("length", [1, 2_999])
def test_a_ratio_with_a_huge_filter_goes_through_ffmpeg(monkeypatch, length):
    monkeypatch.setattr(resampling, "_resampler", lambda: pytest.fail("a filter of 8 GB"))
    made = resample(torch.zeros(2, length), 44_100, 44_101)
    assert made.shape == (2, -(-length * 44_101 // 44_100))


def test_the_same_rate_changes_nothing(seeded):
    wave = torch.rand(2, 100, generator=seeded)
    assert torch.equal(resample(wave, 44_100, 44_100), wave)


@pytest.mark.parametrize("rates", [(0, 44_100), (44_100, -1)])
def test_rates_below_one_are_refused(rates):
    with pytest.raises(SettingsError, match="above 0"):
        resample(torch.zeros(2, 10), *rates)


def test_without_torchaudio_the_sinc_filter_is_used_and_reported_once(no_torchaudio, sweep, caplog):
    caplog.set_level("INFO")
    wave = sweep(48_000, 44_100, seconds=0.1)
    for _ in range(2):
        made = resample(wave, 48_000, 44_100)
        assert torch.equal(made, resample_by_sinc(wave, 48_000, 44_100))
    assert sum("Resampling uses torch:" in record.message for record in caplog.records) == 1


@pytest.mark.parametrize("error", [ImportError, OSError, AttributeError, AssertionError, Exception])
def test_a_torchaudio_that_fails_when_used_is_not_used(monkeypatch, sweep, chosen_again, error):
    class Broken:
        @staticmethod
        def resample(*arguments):
            raise error("undefined symbol")

    monkeypatch.setitem(sys.modules, "torchaudio", Broken)
    monkeypatch.setitem(sys.modules, "torchaudio.functional", Broken)
    wave = sweep(48_000, 44_100, seconds=0.1)
    assert torch.equal(resample(wave, 48_000, 44_100), resample_by_sinc(wave, 48_000, 44_100))


@pytest.mark.parametrize("samples", [990, 1_000, 1_013])
def test_a_period_of_a_loop_stays_a_period(samples):
    """Whole periods of a sine stay whole, at every sample, also across the ends."""
    at = lambda count: torch.arange(count, dtype=torch.float64) / count  # noqa: E731
    wave = torch.stack([torch.sin(2 * torch.pi * k * at(1_000)) for k in (3, 40)]).float()
    expected = torch.stack([torch.sin(2 * torch.pi * k * at(samples)) for k in (3, 40)]).float()
    torch.testing.assert_close(resample_loop(wave, samples), expected, atol=1e-4, rtol=0)


@pytest.mark.parametrize(("rate", "other"), [*RATES, (44_100, 44_100), (3, 2)])
@pytest.mark.parametrize("block", [1, 1_000, 20_000])
def test_blocks_joined_are_the_resampled_sound(seeded, rate, other, block):
    wave = torch.rand(2, 10_007, generator=seeded) * 2 - 1
    joined = torch.cat([*resample_blocks(wave, rate, other, block)], dim=-1)
    torch.testing.assert_close(joined, resample(wave, rate, other), atol=1e-6, rtol=0)


def test_blocks_of_a_ratio_that_ffmpeg_resamples_join_to_the_sound(seeded):
    wave = torch.rand(2, 30_000, generator=seeded) * 2 - 1
    joined = torch.cat([*resample_blocks(wave, 10_007, 10_009, 10_000)], dim=-1)
    expected = resample(wave, 10_007, 10_009)
    assert joined.shape == expected.shape
    assert (joined - expected).abs().max() < 1e-3
