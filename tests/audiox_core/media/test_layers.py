"""Layers: gains, times, fades, pan law, ducking, and the report of their levels."""

from dataclasses import replace
from math import inf, nan, sqrt

import pytest
import torch

from audiox_core.errors import SettingsError
from audiox_core.media.crossfade import fade_curve
from audiox_core.media.ducking import Ducking
from audiox_core.media.layers import Layer, mix_layers, pan_gains, render
from audiox_core.media.loudness import measure_loudness

RATE = 44_100


def constant(level: float = 0.5, samples: int = 100, channels: int = 2, **settings) -> Layer:
    return Layer(torch.full((channels, samples), level), RATE, **settings)


def noise(seconds: float, seeded, **settings) -> Layer:
    return Layer(0.1 * torch.randn(2, round(seconds * RATE), generator=seeded), RATE, **settings)


@pytest.mark.parametrize(("pan", "left", "right"), [(-1, 2, 0), (0, 1, 1), (1, 0, 2)])
def test_the_pan_law_has_constant_power_and_leaves_the_middle_unchanged(pan, left, right):
    assert pan_gains(pan) == pytest.approx((sqrt(left), sqrt(right)), abs=1e-7)
    for between in (-0.7, -0.3, 0.2, 0.9):
        a, b = pan_gains(between)
        assert a**2 + b**2 == pytest.approx(2)
        assert (a > b) == (between < 0)


def test_a_layer_without_settings_is_heard_as_it_is(seeded):
    layer = noise(1.0, seeded)
    assert torch.equal(render(layer, RATE, RATE), layer.waveform)


@pytest.mark.parametrize("channels", [1, 2])
def test_a_layer_is_heard_with_its_gain_and_position(channels):
    heard = render(constant(0.5, channels=channels, gain_db=-6.0, pan=0.5), RATE, 100)
    left, right = pan_gains(0.5)
    expected = 0.5 * 10 ** (-6 / 20) * torch.tensor([[left], [right]])
    torch.testing.assert_close(heard, expected.expand(2, 100))


@pytest.mark.parametrize(
    ("start", "expected"),
    [
        (3, [0, 0, 0, 1, 2, 3, 4, 0]),
        (6, [0, 0, 0, 0, 0, 0, 1, 2]),
        (-1, [2, 3, 4, 0, 0, 0, 0, 0]),
        (8, [0] * 8),
        (20, [0] * 8),
        (-4, [0] * 8),
        (-9, [0] * 8),
    ],
)
def test_a_layer_is_placed_and_cut(start, expected):
    layer = Layer(torch.arange(1.0, 5).expand(2, -1), RATE, start=start / RATE)
    assert render(layer, RATE, 8)[0].tolist() == expected


def test_fades_have_equal_power_at_the_ends_of_what_is_heard():
    layer = constant(1.0, 100, fade_in=10 / RATE, fade_out=20 / RATE)
    for length, end in ((150, 100), (60, 60)):  # the mix cuts the layer: it fades out before that
        heard = render(layer, RATE, length)[0]
        torch.testing.assert_close(heard[:10], fade_curve(10))
        assert heard[10 : end - 20].eq(1).all()
        torch.testing.assert_close(heard[end - 20 : end], fade_curve(20).flip(0))
        assert heard[end:].eq(0).all()


def test_fades_longer_than_the_sound_take_all_of_it():
    heard = render(constant(1.0, 50, fade_in=9.0, fade_out=9.0), RATE, 50)[0]
    torch.testing.assert_close(heard, fade_curve(50) * fade_curve(50).flip(0))


def test_layers_that_fade_into_one_another_keep_their_power(seeded):
    first = noise(2.0, seeded, fade_out=1.0)
    second = noise(2.0, seeded, start=1.0, fade_in=1.0)
    mix = mix_layers([first, second])
    power = mix.mastered.waveform.square().mean(dim=0).view(6, -1).mean(dim=1)
    torch.testing.assert_close(power, torch.full((6,), 0.01), rtol=0.05, atol=0)


def test_a_mix_is_the_sum_of_its_layers_at_the_highest_rate(seeded):
    first, second = noise(0.5, seeded), noise(0.5, seeded, start=0.25)
    mix = mix_layers([first, second, replace(first, sample_rate=22_050)])
    assert mix.sample_rate == RATE
    length = mix.mastered.waveform.shape[-1]
    assert length == RATE  # the slower copy is twice as long
    rendered = [render(layer, RATE, length) for layer in mix.layers]
    torch.testing.assert_close(mix.mastered.waveform, sum(rendered))
    assert mix_layers([first, replace(first, sample_rate=48_000)]).sample_rate == 48_000
    assert mix_layers([replace(first, sample_rate=1_000)], seconds=1.0).sample_rate == RATE


def test_the_length_can_be_given(seeded):
    layer = noise(1.0, seeded)
    for seconds in (0.5, 2.0):
        made = mix_layers([layer], seconds=seconds).mastered.waveform
        assert made.shape == (2, round(seconds * RATE))


def test_all_others_are_turned_down_under_one_layer():
    bed, voice = constant(0.1, RATE), constant(0.5, RATE // 2)
    duck = {"duck_under": 2, "ducking": Ducking(12.0, 0.0, 0.0)}
    mix = mix_layers([bed, voice, bed], ceiling_db=0.0, **duck)
    made = mix.mastered.waveform[0]
    low = 10 ** (-12 / 20)
    assert made[RATE // 4].item() == pytest.approx(0.5 + 2 * 0.1 * low, abs=1e-4)
    assert made[-RATE // 4].item() == pytest.approx(0.2, abs=1e-4)
    none = mix_layers([bed, voice, bed], ceiling_db=0.0).mastered.waveform[0]
    assert none[RATE // 4].item() == pytest.approx(0.7, abs=1e-4)


def test_the_report_has_the_levels_of_every_layer_and_of_the_mix(seeded):
    bed, voice = noise(4.0, seeded, name="bed", gain_db=-12.0), noise(4.0, seeded)
    mix = mix_layers([bed, voice, constant(0.0, RATE)], lufs=-23.0)
    gain = mix.mastered.gain_db
    alone = measure_loudness(voice.waveform, RATE)
    assert mix.levels[1].lufs == pytest.approx(alone.lufs + gain, abs=0.02)
    assert mix.levels[0].lufs == pytest.approx(alone.lufs - 12 + gain, abs=0.2)
    assert mix.mastered.loudness.lufs == pytest.approx(-23, abs=0.05)
    lines = mix.report()
    assert lines[0].startswith(f"1 bed: {mix.levels[0].lufs:.1f} LUFS, range ")
    assert lines[1].startswith(f"2: {mix.levels[1].lufs:.1f} LUFS, range ")
    assert lines[2] == "3: silent"
    assert lines[3].startswith("mix: -23.0 LUFS, range ")
    assert lines[3].endswith("dB; 4.00 s")
    assert lines[4] == f"gain: {gain:+.1f} dB"


def test_the_report_names_what_is_not_heard_and_what_cannot_be_reached(seeded):
    late = constant(samples=RATE, start=5.0)
    assert "not heard: 5.00 to 6.00 s of 4.00 s" in mix_layers([late], seconds=4.0).report()[0]
    click = torch.cat([torch.full((2, 2), 0.9), torch.zeros(2, 2 * RATE)], dim=1)
    lines = mix_layers([Layer(click, RATE)], lufs=-10.0).report()
    assert "limiter: peaks lowered by up to 24.0 dB" in lines[-2]
    assert "-10 LUFS cannot be reached without lowering peaks by more than 24 dB" in lines[-1]
    assert (
        "too short or soft to measure its"
        in mix_layers([constant(samples=RATE // 4)], lufs=-16.0).report()[-1]
    )
    assert mix_layers([constant(0.0, RATE)], lufs=-16.0).report() == [
        "1: silent",
        "mix: silent; 1.00 s",
    ]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"gain_db": nan}, "gain is nan dB"),
        ({"start": inf}, "start is inf s"),
        ({"start": 1e5}, "start is 100000 s"),
        ({"fade_in": -1.0}, "fade_in is -1 s"),
        ({"fade_out": nan}, "fade_out is nan s"),
        ({"pan": 1.5}, "pan is 1.5"),
    ],
)
def test_a_setting_of_a_layer_out_of_range_is_refused(settings, message):
    with pytest.raises(SettingsError, match=message):
        mix_layers([constant(**settings)])


@pytest.mark.parametrize(
    ("layers", "settings", "message"),
    [
        ([], {}, "no layer to mix"),
        ([constant(start=-1.0)], {}, "length of the mix"),
        ([constant()], {"seconds": 1e6}, "length of the mix"),
        ([constant()], {"duck_under": 2}, "from 0 to 1: there is 1 layer"),
        ([constant()] * 3, {"duck_under": -1}, "from 0 to 3: there are 3 layers"),
        ([constant()], {"duck_under": 1, "ducking": Ducking(nan)}, "duck is nan"),
        ([constant(channels=3)], {}, "1 or 2 channels"),
    ],
)
def test_a_mix_that_makes_no_sense_is_refused(layers, settings, message):
    with pytest.raises(SettingsError, match=message):
        mix_layers(layers, **settings)
