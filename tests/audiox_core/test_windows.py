"""Any length: windows as planned, joined without a seam, each with its own tokens."""

from dataclasses import replace
from fractions import Fraction
from math import ceil

import av
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from audiox_core import Conditioning, Request, StartLatent, encode_video, sample
from audiox_core.config import LatentConfig
from audiox_core.errors import SettingsError
from audiox_core.media.clip import clip_from_file
from audiox_core.pipeline.predictor import predictor
from audiox_core.windows import (
    ITEMS_AT_ONCE,
    check_windows,
    over_windows,
    plan,
    plan_frames,
    spans_in_window,
)

LATENT = LatentConfig()
TOKENS = 343  # of the embedded model's conditions


@pytest.mark.parametrize("seconds", [0.1, 10, 10.96, 11, 20, 45, 600])
def test_lengths_and_windows_follow_the_design(seconds):
    made = plan(LATENT, seconds)
    frames = max(236, ceil(round(seconds * 44_100) / 2048))
    count = 1 if frames == 236 else 1 + ceil((frames - 236) / 193)
    assert made.frames == frames
    assert made.starts == tuple(min(193 * i, frames - 236) for i in range(count))


SMALL = LatentConfig(100, 10, 4, 24, 2.0)  # 24 frames of 0.1 s, 20 of them described


def test_a_window_fades_into_the_next_one_where_both_are_described():
    made = plan_frames(SMALL, 50)
    assert made.starts == (0, 18, 26)  # a hop of 20 less a fade of 2; the last one ends at 50
    assert made.fade == (18, 20)
    third = 1 / 3
    first, second, last = made.weights().tolist()
    assert first == pytest.approx([1] * 18 + [2 * third, third] + [0] * 4)
    # the last window begins 8 frames after the second one, which fades as the first did
    assert second == pytest.approx([third, 2 * third] + [1] * 16 + [2 * third, third] + [0] * 4)
    assert last == pytest.approx([0] * 10 + [third, 2 * third] + [1] * 12)


def test_a_single_window_counts_everywhere():
    for frames, starts in ((24, (0,)), (7, (0,))):
        made = plan_frames(SMALL, frames)
        assert (made.window, made.starts, made.windows) == (frames, starts, 1)
        assert made.weights().tolist() == [[1.0] * frames]


@pytest.mark.parametrize(
    ("frames", "starts"),
    [(25, (0, 1)), (42, (0, 18)), (43, (0, 18, 19)), (60, (0, 18, 36)), (61, (0, 18, 36, 37))],
)
def test_windows_hop_until_the_end_is_covered(frames, starts):
    assert plan_frames(SMALL, frames).starts == starts


def test_windows_begin_at_their_seconds():
    assert plan_frames(SMALL, 50).start_seconds == pytest.approx((0, 1.8, 2.6))


def test_a_length_in_seconds_is_rounded_up_to_frames():
    assert plan(SMALL, 0.1).frames == 24
    assert plan(SMALL, 2.4).frames == 24
    assert plan(SMALL, 2.41).frames == 25
    assert plan(SMALL, 5.0).frames == 50


def test_a_tiny_window_still_fades_over_one_frame():
    made = plan_frames(LatentConfig(100, 10, 4, 5, 0.3), 8)
    assert made.fade == (2, 3)
    assert made.starts == (0, 2, 3)


def test_conditions_serve_all_windows_or_each_its_own():
    made = plan_frames(SMALL, 50)
    for given_windows in (1, 3):
        check_windows(given_windows, made)
    with pytest.raises(SettingsError, match=r"2 windows and the latent of 5\.00 s has 3"):
        check_windows(2, made)


def test_spans_are_seen_from_the_start_of_a_window():
    spans = ((0.0, 1.0), (1.0, 2.0), (1.5, 3.0), (2.0, 2.5), (4.0, 5.0))
    assert spans_in_window(spans, 2.0) == ((0.0, 1.0), (0.0, 0.5), (2.0, 3.0))
    assert spans_in_window(spans, 0.0) == spans


def test_predictions_are_blended_by_the_weights():
    made = plan_frames(SMALL, 42)
    x = torch.zeros(1, 4, 42)
    predict = lambda windows, group: windows + torch.tensor([[[[0.0]], [[3.0]]]])  # noqa: E731
    out = over_windows(x, made, predict)[0, 0]
    assert out.tolist() == pytest.approx([0] * 18 + [1, 2] + [3] * 22)


def test_a_single_window_is_predicted_as_it_is(seeded):
    x, seen = torch.randn(2, 4, 24, generator=seeded), []

    def predict(windows, group):
        seen.append((windows.shape, tuple(group)))
        return 2 * windows

    assert torch.equal(over_windows(x, plan_frames(SMALL, 24), predict), 2 * x)
    assert seen == [((2, 1, 4, 24), (0,))]


def test_each_window_is_predicted_from_its_own_frames_under_its_number():
    x, seen = torch.arange(100.0).expand(3, 4, 100), []

    def predict(windows, group):
        seen.append((windows[0, :, 0, 0].tolist(), tuple(group)))
        return windows

    made = plan_frames(SMALL, 100)
    torch.testing.assert_close(over_windows(x, made, predict), x)
    # eight items at once, three a batch: two windows a group
    assert [numbers for _, numbers in seen] == [(0, 1), (2, 3), (4, 5)]
    assert [start for starts, _ in seen for start in starts] == list(made.starts)


@settings(deadline=None, max_examples=40)
@given(frames=st.integers(1, 3_000))
def test_the_weights_add_up_to_one_at_every_frame(frames):
    made = plan_frames(LATENT, frames)
    total = torch.zeros(frames)
    for start, weights in zip(made.starts, made.weights(), strict=True):
        total[start : start + made.window] += weights
    torch.testing.assert_close(total, torch.ones(frames))


@settings(deadline=None, max_examples=40)
@given(frames=st.integers(237, 3_000))
def test_what_the_tokens_do_not_describe_counts_in_the_last_window_alone(frames):
    weights = plan_frames(LATENT, frames).weights()
    assert not weights[:-1, 215:].any()
    assert weights[-1, 215:].all()


def test_joining_what_the_windows_saw_gives_the_whole(seeded):
    x = torch.randn(3, 64, 969, generator=seeded)
    torch.testing.assert_close(over_windows(x, plan_frames(LATENT, 969), lambda w, _: w), x)


def test_never_more_windows_at_once_than_allowed(seeded):
    seen = []

    def predict(windows, group):
        seen.append(windows.shape[0] * windows.shape[1])
        return windows

    over_windows(torch.randn(2, 64, 3_000, generator=seeded), plan_frames(LATENT, 3_000), predict)
    assert max(seen) <= ITEMS_AT_ONCE
    assert sum(seen) == 2 * plan_frames(LATENT, 3_000).windows


def tokens(windows: int, generator: torch.Generator) -> Conditioning:
    positive = torch.randn(1, windows * TOKENS, 96, generator=generator)
    return Conditioning(positive, torch.zeros_like(positive), windows)


@pytest.mark.parametrize("cfg", [1.0, 7.0])
def test_a_window_follows_its_own_tokens(checkpoint, seeded, cfg):
    made, given = plan(LATENT, 45), tokens(5, seeded)
    other = given.positive.clone()
    other[:, 2 * TOKENS : 3 * TOKENS] += 1
    x, t = torch.randn(1, 64, made.frames, generator=seeded), torch.full((1,), 0.5)
    sampling = replace(checkpoint.config.sampling, cfg=cfg)
    with torch.no_grad():
        first, second = (
            predictor(checkpoint.backbone, c, sampling, made)(x, t)
            for c in (given, Conditioning(other, given.negative, 5))
        )
    changed = (first != second).any(dim=1)[0].nonzero().flatten()
    begin, end = made.starts[2], made.starts[2] + 215
    assert begin <= changed.min() <= begin + 1  # the ramp begins there
    assert end - 2 <= changed.max() < end


def test_tokens_of_one_window_serve_all(checkpoint, seeded):
    made, one = plan(LATENT, 45), tokens(1, seeded)
    same = Conditioning(one.positive.repeat(1, 5, 1), one.negative.repeat(1, 5, 1), 5)
    x, t = torch.randn(2, 64, made.frames, generator=seeded), torch.full((2,), 0.5)
    sampling = checkpoint.config.sampling
    with torch.no_grad():
        shared, own = (predictor(checkpoint.backbone, c, sampling, made)(x, t) for c in (one, same))
    torch.testing.assert_close(shared, own, rtol=1e-4, atol=1e-4)


def test_another_number_of_windows_is_refused(checkpoint, seeded):
    with pytest.raises(SettingsError, match="connect the same seconds"):
        predictor(
            checkpoint.backbone, tokens(3, seeded), checkpoint.config.sampling, plan(LATENT, 45)
        )


def test_45_seconds_are_45_seconds(pipeline):
    sound = pipeline.generate(Request(prompt="rain", seconds=45, steps=2, cfg=1))
    assert sound.waveform.shape == (2, 45 * 44_100)
    assert sound.waveform[:, -44_100:].abs().max() > 0.01


def test_a_long_video_is_read_window_by_window(pipeline, long_video):
    clip, second = clip_from_file(long_video), 193 * 2048 / 44_100
    with torch.no_grad():
        whole = encode_video(pipeline.checkpoint, clip)
        part = encode_video(pipeline.checkpoint, clip, start=second, seconds=10)
    assert whole.windows == 3
    torch.testing.assert_close(whole.tokens[1:2], part.tokens, rtol=1e-4, atol=1e-4)


@pytest.fixture(scope="module")
def long_video(clips, tmp_path_factory):
    """Ten seconds of bicycles, two and a half times."""
    path = tmp_path_factory.mktemp("long") / "long.mp4"
    with av.open(str(clips / "bikes.mp4")) as source, av.open(str(path), "w") as target:
        stream = target.add_stream("mpeg4", rate=25)
        frames = [f.reformat(160, 90, "yuv420p") for f in source.decode(video=0)]
        stream.width, stream.height, stream.pix_fmt = 160, 90, "yuv420p"
        for i in range(25 * 24):
            frame = frames[i % len(frames)]
            frame.pts, frame.time_base = i, Fraction(1, 25)
            target.mux(stream.encode(frame))
        target.mux(stream.encode(None))
    return path


def ranks_of_borders(latents: torch.Tensor, made) -> list[float]:
    """Where the energy steps at window borders rank among all steps of a file, in 0..1."""
    energy = latents.square().mean(dim=1).sqrt()[0]
    steps = (energy[1:] - energy[:-1]).abs()
    first, last = made.fade
    borders = [start + at for start in made.starts[:-1] for at in (first, last)]
    return [(steps < steps[b - 1]).float().mean().item() for b in borders]


def kolmogorov_smirnov(values: list[float]) -> float:
    """Chance to see at least this distance from the uniform distribution."""
    ordered, n = torch.tensor(sorted(values), dtype=torch.float64), len(values)
    order = torch.arange(n, dtype=torch.float64)
    distance = max(((order + 1) / n - ordered).max(), (ordered - order / n).max()).item()
    scaled = (n**0.5 + 0.12 + 0.11 / n**0.5) * distance
    k = torch.arange(1, 50, dtype=torch.float64)
    terms = (-1) ** (k - 1) * torch.exp(-2 * (k * scaled) ** 2)
    return min(1.0, 2 * terms.sum().item())


def test_the_seams_are_like_any_other_place(checkpoint, pipeline):
    made, ranks = plan(LATENT, 45), []
    generator = torch.Generator().manual_seed(0)
    for name in ("dpmpp_3m_sde", "dpmpp_2m_sde", "heun"):
        for seed in range(10):
            given = tokens(5, generator)
            start = StartLatent(torch.zeros(1, 64, made.frames))
            sampling = replace(
                checkpoint.config.sampling, steps=3, sampler=name, sigma_min=0.3, sigma_max=500
            )
            latent = sample(checkpoint, given, start, sampling=sampling, seed=seed)
            ranks += ranks_of_borders(latent, made)
    assert kolmogorov_smirnov(ranks) > 0.01


def test_the_measure_finds_a_seam():
    made = plan(LATENT, 45)
    latent = torch.randn(1, 64, made.frames, generator=torch.Generator().manual_seed(0))
    for start in made.starts[:-1]:
        latent[..., start + made.fade[0] :] *= 1.3
    ranks = ranks_of_borders(latent, made)[::2]
    assert min(ranks) > 0.9
