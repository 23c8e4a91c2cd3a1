"""A known sound to start from: its noise mask, and its samples that come back."""

import pytest
import torch

from audiox_core.config import LatentConfig
from audiox_core.errors import SettingsError
from audiox_core.pipeline.init_audio import (
    InitAudio,
    check_regenerated,
    extend_audio,
    init_audio,
    noise_mask,
    tail,
)
from audiox_core.windows import plan_frames

FORMAT = LatentConfig(sample_rate=2_048, hop_length=2_048, window=10, conditioned_seconds=9.0)
LAYOUT = plan_frames(FORMAT, 10)  # a frame is a second


def mask(spans, seconds=10.0, feather=0.0):
    return noise_mask(FORMAT, LAYOUT, spans, seconds, feather).tolist()


def test_the_mask_is_1_in_the_spans():
    assert mask([(2.0, 4.0), (7.5, 8.5)]) == [0, 0, 1, 1, 0, 0, 0, 1, 1, 0]


def test_frames_after_the_end_of_the_sound_are_generated():
    assert mask([(1.0, 2.0)], seconds=6.0) == [0, 1, 0, 0, 0, 0, 1, 1, 1, 1]


def test_a_span_to_the_end_goes_to_the_end_of_the_latent_without_a_ramp():
    assert mask([(5.0, 8.0)], seconds=8.0, feather=2.0) == pytest.approx(
        [0, 0, 0, 0, 0, 0, 0.75, 1, 1, 1], abs=1e-6
    )  # a ramp of two frames: sin^2 of 0 and 60 degrees


def test_a_span_from_the_start_has_no_ramp_there():
    assert mask([(0.0, 5.0)], feather=2.0) == pytest.approx(
        [1, 1, 1, 0.75, 0, 0, 0, 0, 0, 0], abs=1e-6
    )


def test_a_ramp_takes_at_most_half_of_its_span():
    assert mask([(2.0, 6.0)], feather=60.0) == pytest.approx(
        [0, 0, 0, 0.75, 0.75, 0, 0, 0, 0, 0], abs=1e-6
    )


def test_a_sound_is_padded_to_whole_windows_before_it_is_encoded():
    encoded = []
    sound = InitAudio(torch.ones(2, 3 * 2_048), spans=())
    latent, no_mask = sound.encode(FORMAT, lambda audio: encoded.append(audio) or "latent")
    assert (latent, no_mask) == ("latent", None)
    assert encoded[0].shape == (1, 2, 10 * 2_048)
    assert encoded[0][..., : 3 * 2_048].eq(1).all()
    assert not encoded[0][..., 3 * 2_048 :].any()


def test_known_samples_come_back_outside_of_the_spans():
    sound = InitAudio(torch.zeros(2, 4 * 2_048), spans=((1.0, 2.0),))
    out = sound.paste(torch.ones(2, 5 * 2_048), FORMAT)
    assert out.shape == (2, 5 * 2_048)
    assert not out[:, :2_048].any()
    assert not out[:, 2 * 2_048 : 4 * 2_048].any()
    assert out[:, 4 * 2_048 :].eq(1).all()  # what is longer than the known sound
    assert out[0, 2_048 : 2 * 2_048].mean() > 0.9


def test_a_span_after_the_end_is_refused():
    check_regenerated([(0.0, 9.0)], 4.0)
    with pytest.raises(SettingsError, match="regenerate starts at 4 s"):
        check_regenerated([(1.0, 2.0), (4.0, 5.0)], 4.0)


@pytest.mark.parametrize("span", [(3.0, 1.0), (2.0, 2.0), (-1.0, 2.0), (float("nan"), 2.0)])
def test_a_span_that_does_not_run_forwards_is_refused(span):
    with pytest.raises(SettingsError, match="is not valid"):
        mask([span])


@pytest.mark.parametrize("feather", [-1.0, float("nan")])
def test_a_feather_below_0_is_refused(feather):
    with pytest.raises(SettingsError, match="feather is"):
        mask([(1.0, 2.0)], feather=feather)


def test_extended_audio_lies_between_the_seconds_that_are_added():
    known = torch.arange(1.0, 1 + 4 * 2_048).expand(2, -1)
    init = extend_audio(known, FORMAT, [(1.0, 9.0)], before=1.0, after=2.0)
    assert init.waveform.shape == (2, 7 * 2_048)
    assert torch.equal(init.waveform[:, 2_048 : 5 * 2_048], known)
    assert not init.waveform[:, :2_048].any()
    assert not init.waveform[:, 5 * 2_048 :].any()
    assert init.spans == ((0.0, 1.1), (2.0, 7.0))


@pytest.mark.parametrize(("feather", "fade"), [(0.0, 0.02), (0.5, 0.5), (30.0, 1.0)])
def test_the_crossfades_of_a_continuation_lie_in_the_known_audio(feather, fade):
    known = torch.ones(2, 4 * 2_048)
    init = extend_audio(known, FORMAT, before=1.0, after=3.0, feather=feather)
    assert init.spans == ((0.0, 1.0 + fade), (5.0 - fade, 8.0))
    assert init.feather == min(feather, fade)


def test_a_long_feather_keeps_half_of_the_audio_that_is_extended_at_both_ends():
    latent_format = LatentConfig()
    known = torch.ones(2, 3 * 44_100)
    init = extend_audio(known, latent_format, before=2.0, after=2.0, feather=2.0)
    assert init.spans == ((0.0, 2.75), (4.25, 7.0))
    _, mask = init.encode(latent_format, lambda audio: audio[:, :1])
    assert mask is not None
    assert mask[60:91].tolist() == [0.0] * 31  # 2.8 to 4.2 s


def test_a_crossfade_that_is_cut_to_the_audio_leaves_no_hole_in_a_continuation():
    """Where nothing is known any more, everything is generated."""
    latent_format = LatentConfig()
    init = extend_audio(torch.ones(2, 44_100), latent_format, after=6.0, feather=2.0)
    assert init.spans == ((0.75, 7.0),)
    _, mask = init.encode(latent_format, lambda audio: audio[:, :1])
    assert mask is not None
    assert mask[22:].tolist() == [1.0] * (len(mask) - 22)  # from 1.02 s on
    out = init.paste(torch.ones(2, 7 * 44_100), latent_format)
    torch.testing.assert_close(out, torch.ones(2, 7 * 44_100))


def test_spans_in_the_known_audio_keep_their_place_and_meeting_ones_are_joined():
    known = torch.ones(2, 8 * 2_048)
    assert init_audio(known, FORMAT, [(4.0, 6.0), (1.0, 2.0)], 8.0).spans == (
        (1.0, 2.0),
        (4.0, 6.0),
    )
    assert init_audio(known, FORMAT, [(1.0, 3.0), (2.0, 4.0)], 8.0).spans == ((1.0, 4.0),)
    apart = init_audio(known[:, : 4 * 2_048], FORMAT, [(6.0, 8.0)], 8.0)
    assert apart.spans == ((6.0, 8.0),)  # after two seconds of silence that are kept


@pytest.mark.parametrize("feather", [0.1, 0.5, 2.0])
def test_a_continuation_has_no_step_of_energy_at_its_join(seeded, feather):
    latent_format = LatentConfig()
    known, generated = 0.1 * torch.randn(2, 2, 20 * 44_100, generator=seeded)
    init = extend_audio(known[:, : 10 * 44_100], latent_format, after=10.0, feather=feather)
    out = init.paste(generated, latent_format)
    fade = round(feather * 44_100)
    assert torch.equal(out[:, : 441_000 - fade], known[:, : 441_000 - fade])
    assert torch.equal(out[:, 441_000:], generated[:, 441_000:])
    power = 10 * out.square().mean(dim=0).view(400, -1).mean(dim=1).log10()  # of 50 ms
    joins = slice(200 - round(feather / 0.05) - 1, 200)  # into the crossfade, in it, out of it
    steps = power.diff().abs()
    for edge in (joins.start, 199):
        assert steps[edge] <= steps.quantile(0.99)
    assert power[joins].mean().item() == pytest.approx(-20, abs=0.15)


def test_the_tail_is_the_last_ten_seconds():
    sound = torch.arange(1_500.0).expand(2, -1)
    assert torch.equal(tail(sound, 100), sound[:, 500:])
    assert torch.equal(tail(sound[:, :300], 100), sound[:, :300])


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_existing_audio_that_is_no_audio_is_refused(value):
    with pytest.raises(SettingsError, match="NaN or infinite samples"):
        init_audio(torch.full((2, 4 * 2_048), value), FORMAT, (), 4.0)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "nothing to regenerate"),
        ({"after": -1.0}, "both must be 0 or more"),
        ({"before": float("nan")}, "both must be 0 or more"),
        ({"regenerate": [(5.0, 6.0)]}, "the audio ends at 4.00 s"),
        ({"after": 1e4}, "must be 0.1 to 600"),
    ],
)
def test_audio_cannot_be_extended_by_nothing_or_out_of_range(settings, message):
    with pytest.raises(SettingsError, match=message):
        extend_audio(torch.ones(2, 4 * 2_048), FORMAT, **settings)
