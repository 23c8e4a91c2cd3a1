"""What is seen and what is heard of a scene belong together, measured on both."""

from functools import partial
from itertools import pairwise

import pytest
import torch
from torch import Tensor

from audiox_core.lab.labels import EVENT_LABELS, TEXTURE_LABELS
from audiox_core.lab.world import Scene, scene
from audiox_core.lab.world.motion import place

RATE = 22_050
HOP = 64  # samples: 3 ms
SEEDS = range(4)


def onsets(sound: Tensor) -> list[float]:
    """Times in seconds at which the energy of `n` samples leaps up, once in 0.3 s at most."""
    power = sound[: sound.numel() // HOP * HOP].reshape(-1, HOP).square().mean(-1)
    before = torch.nn.functional.pad(power.unfold(0, 12, 1).mean(-1), (12, 0))[: power.numel()]
    leaps = (power > 8 * before + 1e-4 * power.max()).nonzero().flatten().tolist()
    found: list[float] = []
    for leap in leaps:
        if not found or leap * HOP / RATE - found[-1] > 0.3:
            found.append(leap * HOP / RATE)
    return found


def change(made: Scene, before: float, after: float) -> Tensor:
    """How far each pixel brightens between two times, `h w`."""
    first, second = made.frames([before, after], 32).float()
    return (second - first).mean(0).clamp_min(0)


def variable(seconds: float) -> list[float]:
    """Times of frames that come between 30 and 10 times a second."""
    gaps = 1 / 30 + torch.rand(400, generator=torch.Generator().manual_seed(1)) / 15
    times = gaps.cumsum(0)
    return times[times < seconds].tolist()


def steady(fps: float, seconds: float) -> list[float]:
    return [k / fps for k in range(int(seconds * fps))]


RATES = {f"{fps} fps": partial(steady, fps) for fps in (5, 16, 24, 25, 30)} | {"variable": variable}


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("label", EVENT_LABELS)
def test_every_event_is_heard_at_its_time_and_nothing_else_is(label, seed):
    made = scene(seed, label)
    heard = onsets(made.audio(RATE).sum(0))
    assert len(heard) == len(made.events)
    for at, event in zip(heard, made.events, strict=True):
        assert abs(at - event.time) < 0.02


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("label", EVENT_LABELS)
def test_the_sound_of_an_event_is_over_before_the_next(label, seed):
    made = scene(seed, label)
    sound = made.audio(RATE)
    for event in made.events:
        after = sound[:, round((event.time + 0.62) * RATE) : round((event.time + 0.74) * RATE)]
        assert after.abs().max() == 0


@pytest.mark.parametrize("fps", RATES)
@pytest.mark.parametrize("label", EVENT_LABELS)
def test_the_picture_lights_up_at_every_event_and_only_then(label, fps):
    made = scene(2, label)
    times = RATES[fps](made.seconds)
    light = made.frames(times, 32).float().mean((1, 2, 3))
    rises = {b for (a, b), step in zip(pairwise(times), light.diff(), strict=True) if step > 10}
    expected = {min(t for t in times if t >= event.time) for event in made.events}
    assert rises == expected


@pytest.mark.parametrize("label", EVENT_LABELS)
def test_an_event_covers_a_good_share_of_the_picture_for_its_whole_time(label):
    made = scene(1, label)
    for event in made.events:
        rest = event.time - 0.01
        assert (change(made, rest, event.time) > 15).float().mean() > 0.1
        assert (change(made, rest, event.time + 0.4) > 4).float().mean() > 0.04


@pytest.mark.parametrize("label", EVENT_LABELS)
def test_the_pan_of_an_event_matches_its_place(label):
    checked = 0
    for seed in range(6):
        made = scene(seed, label)
        sound = made.audio(RATE)
        for event in made.events:
            start = round(event.time * RATE)
            left, right = sound[:, start : start + RATE // 5].square().sum(-1)
            bright = change(made, event.time - 0.01, event.time).sum(0)
            centre = (bright * (torch.arange(32) + 0.5)).sum() / bright.sum() / 32
            if abs(event.pan) > 0.3:
                assert (right > left) == (event.pan > 0) == (centre > 0.5)
                checked += 1
            assert abs(centre - place(event.pan)) < 0.2
    assert checked


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("label", TEXTURE_LABELS)
def test_a_texture_sounds_and_looks_as_strong_as_its_level(label, seed):
    made = scene(seed, label)
    times = [k / 10 for k in range(110)]
    level = made.level(times)
    sound = made.audio(RATE).square().sum(0).unfold(0, RATE // 10, RATE // 10).mean(-1).sqrt()
    light = made.frames(times, 32).float().mean((1, 2, 3))
    middle = made.level([time + 0.05 for time in times])
    assert torch.corrcoef(torch.stack((sound[:110], middle)))[0, 1] > 0.85
    assert torch.corrcoef(torch.stack((light, level)))[0, 1] > 0.85


def test_rain_falls_silent_when_it_stops():
    made = scene(4, "rain")
    sound = made.audio(RATE)
    times = torch.arange(sound.shape[-1]) / RATE
    dry = made.level(times.tolist()) == 0
    assert 0 < dry.sum() < dry.numel()
    assert sound[:, dry].abs().max() < 0.02 * sound.abs().max()


def test_an_engine_passes_by_in_sound_and_picture():
    made = scene(4, "engine")
    third = int(made.seconds * RATE / 3)
    sound = made.audio(RATE).square()
    sides = [sound[:, part].sum(-1) for part in (slice(0, third), slice(2 * third, None))]
    leftwards = made.course[0].pan > 0
    assert [bool(left < right) for left, right in sides] == [leftwards, not leftwards]
