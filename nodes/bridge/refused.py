"""What other nodes set and AudioX cannot follow: a sentence for each, and none is ignored."""

from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path
from types import TracebackType
from typing import Any

import torch

from ...audiox_core.errors import SettingsError, is_out_of_memory
from .conditioning import KEY
from .prompt_masks import SPAN

PACK = Path(__file__).parents[2]
GUIDANCE = "use SkipLayerGuidanceDiT or PerturbedAttentionGuidance"
SPEED = "to save time, use EasyCache or fewer steps"
INSTEAD = {  # node -> what to use
    "FreeU": GUIDANCE,
    "FreeU_V2": GUIDANCE,
    "SelfAttentionGuidance": GUIDANCE,
    "HyperTile": SPEED,
    "TomePatchModel": SPEED,
    "PatchModelAddDownscale": SPEED,
    "NAGuidance": "for a negative prompt, use negative_text of AudioX Masked Conditioning and a cfg"
    " above 1",
    "hypernetwork_patch": "use a LoRA",
}

REFERENCE = "To follow a picture or a sound, use AudioX Encode Image, AudioX Encode Video or AudioX"
REFERENCE += " Encode Audio."
INPAINT = "To regenerate a part of a sound, use AudioX Inpaint Latent."
CONDITIONING = {  # entry of a CONDITIONING -> its usual node, what to do instead
    "control": ("ControlNetApply", REFERENCE),
    "gligen": ("GLIGENTextboxApply", "For a part of the time, use AudioX Time Range."),
    "unclip_conditioning": ("unCLIPConditioning", REFERENCE),
    "concat_latent_image": ("InpaintModelConditioning", INPAINT),
    "concat_mask": ("InpaintModelConditioning", INPAINT),
    "reference_latents": ("ReferenceLatent", REFERENCE),
    "reference_latents_method": ("FluxKontextMultiReferenceLatentMethod", REFERENCE),
    "reference_audio_timbre_latents": ("ReferenceTimbreAudio", REFERENCE),
    "stable_cascade_prior": ("StableCascade_StageB_Conditioning", REFERENCE),
    "lq_latent": ("PiDConditioning", REFERENCE),
    "clip_vision_output": ("CLIPVisionEncode", REFERENCE),
    "audio_embed": ("an audio encoder", REFERENCE),
    "ref_audio": ("LTXVReferenceAudio", REFERENCE),
    "guidance": ("FluxGuidance", "Use cfg of the sampler."),
    "seconds_start": ("ConditioningStableAudio", "The length is that of AudioX Empty Latent."),
    "seconds_total": ("ConditioningStableAudio", "The length is that of AudioX Empty Latent."),
    "frame_rate": ("LTXVConditioning", "The rate of frames is read by AudioX Encode Video."),
    "lyrics_strength": ("TextEncodeAceStepAudio", "AudioX does not sing lyrics."),
}
CFG_FUNCTIONS = {  # node that sets a `sampler_cfg_function` -> what to use
    "RescaleCFG": "cfg_rescale of AudioX Sampler or AudioX Guider",
    "VideoLinearCFGGuidance": "cfg of AudioX Sampler",
    "VideoTriangleCFGGuidance": "cfg of AudioX Sampler",
}
OPTIONS = {  # entry of `transformer_options` that models of pictures read -> its node
    "rope_options": "ScaleROPE",
    "chroma_radiance_options": "ChromaRadianceOptions",
    "ar_config": "ARVideoI2V",
    "animate2_cache": "WanAnimate2Cache",
    "audio_embeds": "WanInfiniteTalkToVideo",
    "a2v_cross_attn": "LTXVModalityGuidance",
    "v2a_cross_attn": "LTXVModalityGuidance",
    "minimax_h3_sigma_shift_audio": "MiniMaxH3SigmaShift",
}
READ = ("cross_attn", "pooled_output", "mask")  # entries of a CONDITIONING that hold tensors
# entries that say when, where and how strongly a CONDITIONING applies
APPLIES = (SPAN, "strength", "start_percent", "end_percent", "mask", "area", "hooks", "default")


def refuse_patch(key: str, patch: Any) -> None:
    """Raise a sentence that names the key of a patch and the node that sets it."""
    node = _maker(patch)
    instead = f"; {INSTEAD[node]}" if node in INSTEAD else ""
    raise SettingsError(
        f"{node} sets the patch '{key}', which AudioX does not have: remove that node{instead}."
    )


def _maker(patch: Any) -> str:
    """The node that made a function: that in whose method it was defined."""
    return getattr(patch, "__qualname__", type(patch).__name__).split(".")[0]


def check_options(options: Mapping[str, Any]) -> None:
    """Raise a sentence for an option that changes other models and not ours."""
    for key, node in OPTIONS.items():
        if key in options:
            raise SettingsError(
                f"{node} sets '{key}', which AudioX does not have: remove that node."
            )


def check_conditioning(entry: Mapping[str, Any]) -> None:
    """Raise a sentence for an entry of a CONDITIONING that AudioX does not read."""
    for key, (node, instead) in CONDITIONING.items():
        if key in entry:
            raise SettingsError(
                f"The conditioning has '{key}' ({node}), which AudioX does not read: remove that "
                f"node. {instead}"
            )


def check_unknown(branches: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
    """Raise a sentence for tensors in a CONDITIONING that only other models read.

    Args:
        branches: of a guider: their entries. Text and numbers, in which packs take notes, are
            allowed.
    """
    for entry in filter(lambda entry: KEY in entry, chain.from_iterable(branches.values())):
        check_conditioning(entry)  # first: these sentences say more
        for key, value in entry.items():
            values = value if isinstance(value, list | tuple) else [value]
            if key not in READ and any(isinstance(item, torch.Tensor) for item in values):
                raise SettingsError(
                    f"The conditioning has '{key}', which AudioX does not read: remove the node "
                    "that sets it."
                )


def check_guidance(model_options: Mapping[str, Any]) -> None:
    """Raise a sentence for a guidance function that is made for pictures only."""
    node = _maker(model_options.get("sampler_cfg_function"))
    if node in CFG_FUNCTIONS:
        raise SettingsError(
            f"{node} is made for pictures: remove it, and use {CFG_FUNCTIONS[node]}."
        )


def check_rescale(model_options: Mapping[str, Any], rescale: float) -> None:
    """Raise a sentence for a guidance function that cfg_rescale would replace."""
    check_guidance(model_options)
    if (function := model_options.get("sampler_cfg_function")) is not None:
        raise SettingsError(
            f"{_maker(function)} and cfg_rescale {rescale:g} both decide how cfg is applied: set "
            "cfg_rescale to 0, or remove that node."
        )


def check_noise_mask(mask: torch.Tensor | None) -> None:
    """Raise a sentence for the noise mask of a picture."""
    if mask is not None and mask.ndim > 3:
        raise SettingsError(
            "The latent has the mask of a picture (SetLatentNoiseMask): remove that node. To "
            "regenerate a part of a sound, use AudioX Inpaint Latent."
        )


def explain(error: Exception) -> None:
    """Raise a sentence for an error in a function that another node has added to the model."""
    node = None if is_out_of_memory(error) else _failed_node(error.__traceback__)
    if node is not None:
        raise SettingsError(
            f"{node} cannot work with the latents of a sound: remove that node. "
            f"({type(error).__name__}: {str(error).splitlines()[0]})"
        ) from error


def _failed_node(trace: TracebackType | None) -> str | None:
    """The node in whose inner function an error was raised, unless a model was called there."""
    found = None
    while trace is not None:
        code = trace.tb_frame.f_code
        outer, inner, _ = getattr(code, "co_qualname", "").partition(".<locals>.")  # Python 3.11+
        file = Path(code.co_filename)
        of_nodes = file.name.startswith("nodes") or "custom_nodes" in file.parts
        if PACK in file.parents or code.co_name == "apply_model":
            found = None
        elif inner and "." in outer and of_nodes:
            found = outer.split(".")[0]
        trace = trace.tb_next
    return found


def kept_entries(text: Mapping[str, Any]) -> dict[str, Any]:
    """Entries of a text CONDITIONING that hold for what is assembled from it, too."""
    return {key: text[key] for key in (*APPLIES, *CONDITIONING) if text.get(key) is not None}
