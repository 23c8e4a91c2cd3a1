"""Settings, sigmas and the start of a run."""

from dataclasses import replace

import pytest
import torch

from audiox_core import Conditioning, StartLatent, sample
from audiox_core.config import AudioXConfig, SamplingConfig
from audiox_core.diffusion.noise import initial_noise
from audiox_core.errors import SettingsError
from audiox_core.pipeline import sampling as steps
from audiox_core.pipeline.sampling import run_sigmas
from audiox_core.variants import VARIANTS

V1, TURBO = AudioXConfig(), VARIANTS["audiox-turbo"]


def test_the_sigmas_of_a_run_fall_from_the_models_highest_to_zero():
    settings = SamplingConfig(steps=3, sigma_min=1.0, sigma_max=100.0)
    assert run_sigmas(V1, settings).tolist() == pytest.approx([100, 10, 1, 0])
    # a share of a half: the last three of six steps
    tail = run_sigmas(V1, settings, 0.5)
    assert tail.tolist() == pytest.approx([10 ** (4 / 5), 10 ** (2 / 5), 1, 0], rel=1e-4)
    assert run_sigmas(V1, settings, sigma=4.0).tolist() == pytest.approx([4, 2, 1, 0])
    assert run_sigmas(TURBO, replace(TURBO.sampling, steps=4)).tolist() == [1, 0.75, 0.5, 0.25, 0]


@pytest.mark.parametrize(("low", "high"), [(1.0, 1.0), (0.0, 1.0), (2.0, 1.0), (-1.0, 1.0)])
def test_an_empty_range_of_sigma_is_refused(low, high):
    with pytest.raises(SettingsError, match="sigma_max must be larger"):
        run_sigmas(V1, SamplingConfig(sigma_min=low, sigma_max=high))


@pytest.fixture
def started(monkeypatch, checkpoint):
    """The noisy latent and the sigmas that a solver gets for a start latent."""

    def run(start, seed=5):
        seen = []

        def solver(_name, _denoise, x, sigmas, **_others):
            seen.append((x, sigmas))
            return x

        monkeypatch.setattr(steps, "solve", solver)
        tokens = torch.ones(1, checkpoint.config.tokens, checkpoint.config.dit.cond_dim)
        sample(checkpoint, Conditioning(tokens, tokens * 0, 1), start, seed=seed)
        return seen[0]

    return run


def test_a_full_run_starts_from_noise_of_unit_variance_scaled_as_comfyui_scales_it(started):
    known = torch.full((1, 64, 236), 3.0)
    x, sigmas = started(StartLatent(known))
    noise = initial_noise((1, 64, 236), 5)
    torch.testing.assert_close(x, known + noise * (1 + sigmas[0] ** 2).sqrt())


def test_a_part_of_a_run_starts_from_the_known_latent_under_less_noise(started):
    known = torch.full((1, 64, 236), 3.0)
    noise = initial_noise((1, 64, 236), 5)
    for start in (StartLatent(known, denoise=0.4), StartLatent(known, sigma=2.0)):
        x, sigmas = started(start)
        assert sigmas[0] < 100
        torch.testing.assert_close(x, known + noise * sigmas[0])


@pytest.mark.parametrize(
    ("start", "settings", "message"),
    [
        ({}, {"sampling": SamplingConfig(sampler="foo")}, "Unknown sampler 'foo'"),
        ({}, {"sampling": SamplingConfig(steps=0)}, "steps is 0"),
        ({}, {"sampling": SamplingConfig(cfg=float("nan"))}, "cfg is nan"),
        ({}, {"seed": -1}, "seed is -1"),
        ({"denoise": 0.0}, {}, "denoise is 0"),
        ({"denoise": 2.0}, {}, "denoise is 2"),
        ({"denoise": float("nan")}, {}, "denoise is nan"),
        ({"samples": torch.zeros(1, 8, 236)}, {}, "an AudioX latent is"),
        ({"samples": torch.zeros(64, 236)}, {}, "an AudioX latent is"),
    ],
)
def test_a_step_called_alone_refuses_what_a_request_refuses(checkpoint, start, settings, message):
    tokens = torch.ones(1, checkpoint.config.tokens, checkpoint.config.dit.cond_dim)
    given = StartLatent(**{"samples": torch.zeros(1, 64, 236), **start})
    with pytest.raises(SettingsError, match=message):
        sample(checkpoint, Conditioning(tokens, tokens * 0, 1), given, **settings)


def test_what_no_earlier_step_returned_is_refused(checkpoint):
    tokens = torch.ones(1, checkpoint.config.tokens, checkpoint.config.dit.cond_dim)
    conditioning = Conditioning(tokens, tokens * 0, 1)
    with pytest.raises(SettingsError, match="conditioning is a NoneType: pass the result of ass"):
        sample(checkpoint, None, StartLatent(torch.zeros(1, 64, 236)))
    with pytest.raises(SettingsError, match="start is a Tensor: pass the result of empty_latent"):
        sample(checkpoint, conditioning, torch.zeros(1, 64, 236))
