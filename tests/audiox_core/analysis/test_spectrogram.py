"""The logarithmic spectrogram: levels, places and bounded memory, by closed forms."""

import pytest
import torch

from audiox_core.analysis.spectrogram import (
    FLOOR_DB,
    coloured,
    frequency_edges,
    log_spectrogram,
)

RATE = 44_100


def sine(hertz: float, seconds: float = 1.0, level: float = 1.0) -> torch.Tensor:
    time = torch.arange(round(seconds * RATE)) / RATE
    return level * torch.sin(2 * torch.pi * hertz * time)[None]


@pytest.mark.parametrize("hertz", [100.0, 1_000.0, 9_000.0])
def test_a_sine_of_full_scale_is_0_db_in_the_row_of_its_frequency(hertz):
    levels = log_spectrogram(sine(hertz), RATE, 20, 120)
    edges = frequency_edges(120, RATE)
    row = int(levels[:, 10].argmax())
    assert levels[row, 10].item() == pytest.approx(0, abs=1.5)  # at most between two bins
    assert edges[max(0, row - 2)] <= hertz <= edges[min(120, row + 3)]


def test_half_the_amplitude_is_6_db_less_and_a_second_channel_3_db_more():
    one = log_spectrogram(sine(1_000), RATE, 4, 60).max()
    assert log_spectrogram(sine(1_000, level=0.5), RATE, 4, 60).max() - one == pytest.approx(
        -6.02, abs=0.01
    )
    two = log_spectrogram(sine(1_000).repeat(2, 1), RATE, 4, 60).max()
    assert two - one == pytest.approx(3.01, abs=0.01)


def test_a_click_is_in_the_column_of_its_time():
    sound = torch.zeros(1, 10 * RATE)
    sound[0, round(7.05 * RATE)] = 1
    levels = log_spectrogram(sound, RATE, 100, 40).amax(dim=0)
    assert int(levels.argmax()) in (70, 71)
    assert (levels[:69] == FLOOR_DB).all()
    assert (levels[73:] == FLOOR_DB).all()


@pytest.mark.parametrize("samples", [1, 7, 50, 44_100])
@pytest.mark.parametrize("width", [1, 33, 100])
def test_any_length_fills_every_column(samples, width):
    levels = log_spectrogram(torch.ones(2, samples), RATE, width, 20)
    assert levels.shape == (20, width)
    assert levels.isfinite().all()


def test_a_low_sample_rate_ends_the_axis_at_its_half():
    assert frequency_edges(10, 8_000)[-1] == pytest.approx(4_000)
    assert frequency_edges(10, 96_000)[-1] == pytest.approx(20_000)


def test_colours_run_from_dark_to_bright_and_stay_in_range():
    import numpy as np

    pixels = coloured(np.array([-1.0, 0.0, 0.5, 1.0, 2.0]))
    assert pixels.dtype == np.uint8
    assert (pixels[0] == pixels[1]).all()
    assert (pixels[3] == pixels[4]).all()
    assert pixels[1].sum() < pixels[2].sum() < pixels[3].sum()
