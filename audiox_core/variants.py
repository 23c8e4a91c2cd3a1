"""The released models: their sizes, and how each is sampled.

Sizes are read from a file's tensors; a variant's entry here gives what tensors do not tell.
"""

from dataclasses import replace

from .config import (
    AudioXConfig,
    DiTConfig,
    MAFConfig,
    MelConfig,
    MMDiTConfig,
    SamplingConfig,
    SyncConfig,
    VideoConfig,
)

_V1 = AudioXConfig()
_MAF = replace(
    _V1,
    variant="audiox-maf",
    dit=DiTConfig(global_dim=768),
    maf=MAFConfig(),
    video=VideoConfig(sync=SyncConfig()),
    mel=MelConfig(),
    audio_tokens=1_723,
)
_MMDIT = replace(
    _MAF,
    variant="audiox-maf-mmdit",
    dit=MMDiTConfig(),
    mel=None,
    audio_tokens=128,
    audio_latents=215,
)
_BASE = replace(
    _MMDIT,
    variant="audiox-base",
    objective="rectified_flow",
    sampling=SamplingConfig(steps=100, cfg=6.0, sampler="euler", sigma_min=0.0, sigma_max=1.0),
)
_TURBO = replace(
    _BASE,
    variant="audiox-turbo",
    sampling=SamplingConfig(steps=4, cfg=1.0, sampler="lcm", sigma_min=0.0, sigma_max=1.0),
)

VARIANTS = {config.variant: config for config in (_V1, _MAF, _MMDIT, _BASE, _TURBO)}

# their tensors have the same names and shapes: a file alone does not say which it is
AMBIGUOUS_VARIANTS = ("audiox-maf-mmdit", "audiox-base", "audiox-turbo")


def advice(config: AudioXConfig, sampling: SamplingConfig) -> str:
    """What is unusual about settings for this model, a sentence each; empty if nothing is.

    Such a run works, but it sounds worse than it could.

    Args:
        config: of the model.
        sampling: the settings of a run.
    """
    name, own, found = config.variant, config.sampling, []
    distilled = own.cfg == 1
    if distilled and sampling.cfg != 1:
        found.append(f"{name} was distilled for cfg 1, not {sampling.cfg:g}.")
    if distilled and sampling.sampler != own.sampler:
        found.append(f"{name} was distilled for {own.sampler}, not {sampling.sampler}.")
    if distilled and sampling.steps > 10 * own.steps:
        found.append(f"{name} needs only {own.steps} steps, not {sampling.steps}.")
    if not distilled and sampling.cfg == 1 and own.cfg > 1:
        found.append(
            f"At cfg 1, {name} follows the inputs only weakly; the default is {own.cfg:g}."
        )
    if not distilled and sampling.steps < own.steps / 10:
        steps = "1 step is" if sampling.steps == 1 else f"{sampling.steps} steps are"
        found.append(f"{steps} few for {name}; the default is {own.steps}.")
    return " ".join(found)
