"""Sampling: from noise, or from an existing latent with noise, to a denoised latent.

The solvers here and those of ComfyUI get the same sigmas, the same initial noise, the same noise at
each step, and treat a noise mask alike: one seed gives one latent in both. Axes: `b` batch, `c`
channels, `t` latent frames.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from ..checkpoint.checkpoint_file import Checkpoint
from ..conditioners.assemble import Conditioning
from ..config import AudioXConfig, LatentConfig, SamplingConfig
from ..diffusion.inpaint import masked_denoiser
from ..diffusion.noise import initial_noise, on_device, step_noise
from ..diffusion.objectives import OBJECTIVES, OnStep
from ..diffusion.samplers import solve
from ..diffusion.schedules import last_part
from ..errors import SettingsError, check_number
from ..limits import (
    MAX_TAKES,
    check_denoise,
    check_loop,
    check_sampling,
    check_seconds,
    check_seed,
)
from ..windows import plan, plan_frames
from .accelerate import accelerated
from .encode import check_host, check_type
from .predictor import AnyConditioning, GuidedBranches, predictor

CONDITIONINGS = (Conditioning, GuidedBranches, list, tuple)  # see `AnyConditioning`


@dataclass(frozen=True)
class StartLatent:
    """What sampling starts from, like ComfyUI's LATENT."""

    samples: Tensor  # `b c t`; zeros for a sound from noise alone
    mask: Tensor | None = None  # `t` in 0..1: 1 is generated, 0 keeps `samples`; None: all is 1
    denoise: float = 1.0  # the share of the schedule that is run; below 1 it stays near `samples`
    sigma: float | None = None  # the noise level to start from, in place of `denoise`
    loop: bool = False  # the last frame is followed by the first one

    def __repr__(self) -> str:
        return f"StartLatent({tuple(self.samples.shape)})"


def empty_latent(
    checkpoint: Checkpoint, seconds: float, takes: int = 1, *, loop: bool = False
) -> StartLatent:
    """What a sound from noise alone starts from.

    Args:
        checkpoint: of the model.
        seconds: length of the sound.
        takes: sounds to generate, each with noise of its own.
        loop: the end of the sound leads into its beginning.

    Raises:
        SettingsError: a value out of range.
    """
    zeros = silent_latent(checkpoint.config.latent, seconds, takes, loop=loop)
    return StartLatent(zeros.to(checkpoint.device), loop=loop)


def silent_latent(
    latent_format: LatentConfig, seconds: float, takes: int, *, loop: bool, name: str = "takes"
) -> Tensor:
    """Zeros `takes c t` that cover a length, at least one window unless it is a loop.

    Args:
        latent_format: of the model.
        seconds: length of the sound.
        takes: sounds of the batch.
        loop: the sound is played in a loop.
        name: of `takes` in an error.

    Raises:
        SettingsError: a value out of range.
    """
    (check_loop if loop else check_seconds)(seconds)
    check_number(name, takes, 1, MAX_TAKES, whole=True)
    frames = plan(latent_format, seconds, loop).frames
    return torch.zeros((takes, latent_format.channels, frames), dtype=torch.float32)


def check_latent(latent: Tensor, channels: int) -> None:
    """Raise SettingsError for a latent that is not `b c t` with these channels."""
    if not isinstance(latent, Tensor):
        raise SettingsError(f"The latent is a {type(latent).__name__}: pass a tensor.")
    if latent.ndim != 3 or latent.shape[1] != channels or not all(latent.shape):
        raise SettingsError(
            f"The latent has the shape {tuple(latent.shape)}, but an AudioX latent is (batch, "
            f"{channels}, frames): use AudioX Empty Latent, or a sampler with an AudioX model."
        )


def run_sigmas(
    config: AudioXConfig,
    sampling: SamplingConfig,
    denoise: float = 1.0,
    sigma: float | None = None,
) -> Tensor:
    """The noise levels of a run, by the model's own schedule.

    Args:
        config: of the model.
        sampling: its steps and its range of sigma are used.
        denoise: share of the schedule to run, above 0 to 1: the last `steps` of it.
        sigma: the level to start from, in place of `denoise`.

    Returns:
        `steps + 1` decreasing sigmas, the last one 0.

    Raises:
        SettingsError: the range of sigma is empty, or not above 0 for a v-prediction model.
    """
    check_denoise(denoise)
    schedule = OBJECTIVES[config.objective].schedule
    low, high = sampling.sigma_min, sampling.sigma_max if sigma is None else sigma
    if config.objective == "v" and not 0 < low < high:
        raise SettingsError(
            f"sigma_min is {low:g} and sigma_max is {high:g}: sigma_max must be larger than "
            "sigma_min, and both must be above 0."
        )
    if sigma is not None or denoise >= 1:
        return schedule(sampling.steps, low, high)
    return last_part(schedule, sampling.steps, denoise, sigma_min=low, sigma_max=high)


@torch.no_grad()
def sample(
    checkpoint: Checkpoint,
    conditioning: AnyConditioning,
    start: StartLatent,
    *,
    sampling: SamplingConfig | None = None,
    seed: int = 0,
    on_step: OnStep = lambda *_: None,
    acceleration: str = "off",
) -> Tensor:
    """Generate latents of any length.

    Args:
        checkpoint: its backbone computes in its own dtype, the solver in float32.
        conditioning: both branches of guidance, from `assemble`, or several with their times, or
            those of guidance by modality.
        start: what to start from; see `StartLatent`.
        sampling: solver, steps, guidance; None is the model's own.
        seed: of all noise; item k of a batch has a stream of its own.
        on_step: called at each step with its index, the noisy latent and the denoised estimate.
        acceleration: of the network; see `accelerate`.

    Returns:
        The latents `b c t`, float32, on the device of `start.samples`.

    Raises:
        SettingsError: the conditioning was made for another length.
    """
    check_host(checkpoint)
    check_type("conditioning", conditioning, CONDITIONINGS, "assemble")
    check_type("start", start, StartLatent, "empty_latent")
    config = checkpoint.config
    sampling = sampling or config.sampling
    check_sampling(sampling, config.objective)
    check_seed(seed)
    check_latent(start.samples, config.latent.channels)
    objective, samples = OBJECTIVES[config.objective], start.samples.float()
    windows = plan_frames(config.latent, samples.shape[-1], start.loop)
    noise = on_device(initial_noise(tuple(samples.shape), seed), samples.device)
    sigmas = run_sigmas(config, sampling, start.denoise, start.sigma)
    full = sigmas[0] >= config.sampling.sigma_max * (1 - 1e-5)  # as ComfyUI decides it
    begin = objective.noised_fully if full else objective.noised
    network = predictor(checkpoint.backbone, conditioning, sampling, windows)
    with accelerated(checkpoint.backbone, network, acceleration) as predict:
        denoiser = objective.denoiser(predict)
        if start.mask is not None:
            mask = start.mask.to(samples)
            denoiser = masked_denoiser(denoiser, samples, noise, mask, objective.noised)
        return solve(
            sampling.sampler,
            denoiser,
            begin(samples, noise, sigmas[0].item()),
            sigmas,
            noise_sampler=step_noise(noise, seed),
            on_step=on_step,
            noised=objective.noised,
        )
