"""The guided network of a run over any length, and the sounds that it makes."""

from dataclasses import replace
from fractions import Fraction

import av
import pytest
import torch

from audiox_core import Conditioning, Request, StartLatent, encode_video, sample
from audiox_core.conditioners.time_weights import TimeRange, time_weights
from audiox_core.config import LatentConfig
from audiox_core.errors import SettingsError
from audiox_core.media.clip import clip_from_file
from audiox_core.pipeline.predictor import predictor
from audiox_core.windows import plan

LATENT = LatentConfig()
TOKENS = 343  # of the embedded model's conditions


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
    with pytest.raises(SettingsError, match="use the same length for both"):
        predictor(
            checkpoint.backbone, tokens(3, seeded), checkpoint.config.sampling, plan(LATENT, 45)
        )


def test_a_request_of_45_seconds_gives_45_seconds(pipeline):
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


def test_window_borders_are_as_smooth_as_other_places(checkpoint, pipeline):
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


def test_the_seam_measure_detects_an_artificial_seam():
    made = plan(LATENT, 45)
    latent = torch.randn(1, 64, made.frames, generator=torch.Generator().manual_seed(0))
    for start in made.starts[:-1]:
        latent[..., start + made.fade[0] :] *= 1.3
    ranks = ranks_of_borders(latent, made)[::2]
    assert min(ranks) > 0.9


class TestPromptsOverTime:
    """Several conditionings, each for a part of the time."""

    @pytest.mark.parametrize("cfg", [1.0, 7.0])
    def test_predictions_are_blended_by_the_weights(self, checkpoint, seeded, cfg):
        made, first, second = plan(LATENT, 45), tokens(1, seeded), tokens(1, seeded)
        timeline = [(TimeRange(0, 20, 2.0), first), (None, second)]
        weight, _ = time_weights([span for span, _ in timeline], made.frames, made.frame_seconds)
        x, t = torch.randn(2, 64, made.frames, generator=seeded), torch.full((2,), 0.5)
        sampling = replace(checkpoint.config.sampling, cfg=cfg, cfg_rescale=0.0)
        with torch.no_grad():
            both, one, other = (
                predictor(checkpoint.backbone, c, sampling, made)(x, t)
                for c in (timeline, first, second)
            )
        expected = weight * one + (1 - weight) * other
        torch.testing.assert_close(both, expected, rtol=1e-3, atol=1e-3)
        assert (one - other).abs().max() > 0.1

    def test_windows_in_which_a_prompt_has_no_weight_are_not_computed(self, checkpoint, seeded):
        made = plan(LATENT, 60)
        halves = [(TimeRange(0, 30, 0.5), tokens(1, seeded)), (None, tokens(1, seeded))]
        rows, forward = [], checkpoint.backbone.transformer.forward

        def counted(x, *others):
            rows.append(len(x))
            return forward(x, *others)

        x, t = torch.randn(1, 64, made.frames, generator=seeded), torch.full((1,), 0.5)
        checkpoint.backbone.transformer.forward = counted
        try:
            with torch.no_grad():
                for given in (halves[0][1], halves):
                    rows.append(0)
                    predictor(checkpoint.backbone, given, checkpoint.config.sampling, made)(x, t)
        finally:
            del checkpoint.backbone.transformer.forward
        at = rows.index(0, 1)
        one, two = sum(rows[:at]), sum(rows[at:])
        assert one == 2 * made.windows
        assert two <= 1.25 * one

    def test_a_request_with_prompts_over_time_is_generated(self, pipeline):
        request = Request(prompts=((0, 2, "a bell"), (2, 4, "rain")), seconds=4, steps=2)
        sound = pipeline.generate(request)
        assert sound.waveform.isfinite().all()
        plain = pipeline.generate(replace(request, prompts=(), prompt="rain"))
        assert not torch.equal(sound.waveform, plain.waveform)

    @pytest.mark.parametrize("wrong", [((4, 2, "x"),), ((0, float("nan"), "x"),)])
    def test_a_range_that_no_sound_has_is_refused(self, pipeline, wrong):
        with pytest.raises(SettingsError, match="time range"):
            pipeline.generate(Request(prompt="rain", prompts=wrong))
