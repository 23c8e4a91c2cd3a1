"""Guidance by modality: what each branch is conditioned on, and the weight of its difference.

With u for the unconditional or negative branch, t for text, tv for text and video, and tva for all
three, the guided prediction is u + wt (t - u) + wv (tv - t) + wa (tva - tv). Equal weights are
ordinary guidance with that cfg; see `diffusion.guidance`.
"""

from collections.abc import Callable
from dataclasses import dataclass

from ..config import AudioXConfig
from ..diffusion.guidance import merge_branches
from ..limits import GuidanceWeights, check_guidance
from .encode import Features, Strengths
from .predictor import GuidedBranches, Timeline


@dataclass(frozen=True)
class BranchInputs:
    """The features that a branch is conditioned on, beside the text."""

    video: Features | None
    audio: Features | None


def guidance_branches(
    config: AudioXConfig,
    weights: GuidanceWeights,
    video: Features | None,
    audio: Features | None,
    strengths: Strengths,
    *,
    has_text: bool,
) -> list[tuple[float, BranchInputs]]:
    """The branches to compute, each with one modality more than the one before it.

    A modality that is missing, or has the strength 0, is absent from every branch and its weight
    is not used; that of the text is used where nothing else is left. Branches that cancel are left
    out, so that equal weights leave a single one.

    Args:
        config: of the model.
        weights: of the three modalities.
        video, audio: features, or None.
        strengths: of the three modalities.
        has_text: there is a prompt.

    Returns:
        The weight of the difference of each branch from the one before it, and its inputs.

    Raises:
        SettingsError: a weight out of range, or a model that was distilled to run without guidance.
    """
    check_guidance(weights, config)
    used = used_modalities(video, audio, strengths, has_text=has_text)
    video = video if "video" in used else None
    inputs = {
        "text": BranchInputs(None, None),
        "video": BranchInputs(video, None),
        "audio": BranchInputs(video, audio),
    }
    return merge_branches([(getattr(weights, name), inputs[name]) for name in used])


def used_modalities(
    video: Features | None, audio: Features | None, strengths: Strengths, *, has_text: bool
) -> list[str]:
    """The modalities that are there with a strength above 0; the text where nothing else is.

    Args:
        video, audio: features, or None.
        strengths: of the three modalities.
        has_text: there is a prompt.
    """
    given = {"text": has_text, "video": video is not None, "audio": audio is not None}
    used = [name for name, there in given.items() if there and getattr(strengths, name) > 0]
    return used or ["text"]


def assemble_branches(
    branches: list[tuple[float, BranchInputs]], assemble: Callable[[BranchInputs], Timeline]
) -> GuidedBranches:
    """Join the tokens of every branch.

    Args:
        branches: from `guidance_branches`.
        assemble: the inputs of a branch -> its conditionings with their times.
    """
    return GuidedBranches(
        tuple(assemble(inputs) for _, inputs in branches), tuple(weight for weight, _ in branches)
    )
