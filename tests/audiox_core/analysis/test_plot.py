"""The plot of sounds: where things are drawn."""

import numpy as np
import pytest
import torch

pytest.importorskip("PIL", reason="no Pillow: pip install pillow")

from audiox_core.analysis.motion import Changes
from audiox_core.analysis.plot import (
    CHOSEN,
    CUT,
    INNER,
    LEFT,
    ONSET,
    PEAK,
    WAVE,
    WIDTH,
    Scene,
    Track,
    plot_sounds,
)

RATE = 8_000


def noise(seconds: float, level: float = 0.5) -> torch.Tensor:
    return level * torch.randn(2, round(seconds * RATE), generator=torch.Generator().manual_seed(0))


def columns(picture: np.ndarray, colour: tuple) -> list[int]:
    return sorted({*np.where((picture == colour).all(axis=-1))[1].tolist()})


def place(second: float, seconds: float) -> float:
    return LEFT + INNER * second / seconds


def test_each_sound_has_its_row_and_one_alone_is_higher():
    one, four = (plot_sounds([Track(noise(2))] * n, RATE) for n in (1, 4))
    assert one.shape[1:] == four.shape[1:] == (WIDTH, 3)
    assert one.dtype == np.uint8
    assert one.shape[0] < four.shape[0] < 4 * one.shape[0]


def test_onsets_cuts_and_peaks_are_drawn_at_their_times():
    scene = Scene(None, Changes(cuts=(1.0,), peaks=(3.0,)))
    picture = plot_sounds([Track(noise(4), onsets=[2.0])], RATE, scene)
    for colour, second in ((ONSET, 2.0), (CUT, 1.0), (PEAK, 3.0)):
        found = columns(picture, colour)
        assert abs(np.median(found) - place(second, 4)) <= 2


def test_a_short_sound_ends_before_the_axis_of_a_longer_video():
    wave = columns(plot_sounds([Track(noise(1))], RATE, seconds=4), WAVE)
    assert abs(max(wave) - place(1, 4)) <= 2


def test_only_the_chosen_sound_has_a_frame():
    tracks = [Track(noise(1), label=str(k), chosen=k == 1) for k in range(3)]
    picture = plot_sounds(tracks, RATE)
    rows = np.where((picture == CHOSEN).all(axis=-1).sum(axis=1) > INNER)[0]
    third = picture.shape[0] / 3
    assert third * 0.8 < rows.min() < rows.max() < third * 2.1


def test_waveforms_are_relative_to_the_loudest_and_silence_is_a_line():
    picture = plot_sounds([Track(noise(1, 0.01)), Track(torch.zeros(2, RATE))], RATE)
    heights = (picture == WAVE).all(axis=-1).sum(axis=1)
    half = len(picture) // 2
    assert (heights[:half] > 0).sum() > 50
    assert (heights[half:] > 0).sum() <= 2


def test_frames_are_drawn_side_by_side_above_the_sounds():
    frames = torch.zeros(4, 3, 16, 16, dtype=torch.uint8)
    frames[:, 0] = torch.tensor([50, 100, 150, 200])[:, None, None]
    picture = plot_sounds([Track(noise(4))], RATE, Scene(frames))
    for k, red in enumerate((50, 100, 150, 200)):
        assert picture[20, round(place(k + 0.5, 4))].tolist() == [red, 0, 0]


@pytest.mark.parametrize("samples", [1, 3, 700])
def test_very_short_sounds_are_drawn(samples):
    assert plot_sounds([Track(torch.ones(1, samples))], RATE).shape[1] == WIDTH
