"""What other nodes set and AudioX cannot follow: a sentence for each, and none is ignored."""

from collections.abc import Mapping
from typing import Any

import torch

from ...audiox_core.errors import SettingsError
from .prompt_masks import SPAN

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
    "clip_vision_output": ("CLIPVisionEncode", REFERENCE),
    "audio_embed": ("an audio encoder", REFERENCE),
    "ref_audio": ("LTXVReferenceAudio", REFERENCE),
    "guidance": ("FluxGuidance", "Use cfg of the sampler."),
    "seconds_start": ("ConditioningStableAudio", "The length is that of AudioX Empty Latent."),
    "seconds_total": ("ConditioningStableAudio", "The length is that of AudioX Empty Latent."),
    "frame_rate": ("LTXVConditioning", "The rate of frames is read by AudioX Encode Video."),
    "lyrics_strength": ("TextEncodeAceStepAudio", "AudioX does not sing lyrics."),
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
# entries that say when, where and how strongly a CONDITIONING applies
APPLIES = (SPAN, "strength", "start_percent", "end_percent", "mask", "area", "hooks", "default")


def refuse_patch(key: str, patch: Any) -> None:
    """Raise a sentence that names the key of a patch and the node that sets it."""
    node = getattr(patch, "__qualname__", type(patch).__name__).split(".")[0]
    instead = f"; {INSTEAD[node]}" if node in INSTEAD else ""
    raise SettingsError(
        f"{node} sets the patch '{key}', which AudioX does not have: remove that node{instead}."
    )


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
        if entry.get(key) is not None:
            raise SettingsError(
                f"The conditioning has '{key}' ({node}), which AudioX does not read: remove that "
                f"node. {instead}"
            )


def check_guidance(model_options: Mapping[str, Any]) -> None:
    """Raise a sentence for a guidance function that is made for pictures only."""
    function = model_options.get("sampler_cfg_function")
    if getattr(function, "__qualname__", "").startswith("RescaleCFG."):
        raise SettingsError(
            "RescaleCFG is made for pictures: remove it, and use cfg_rescale of AudioX Sampler."
        )


def check_noise_mask(mask: torch.Tensor | None) -> None:
    """Raise a sentence for the noise mask of a picture."""
    if mask is not None and mask.ndim > 3:
        raise SettingsError(
            "The latent has the mask of a picture (SetLatentNoiseMask): remove that node. To "
            "regenerate a part of a sound, use AudioX Inpaint Latent."
        )


def kept_entries(text: Mapping[str, Any]) -> dict[str, Any]:
    """Entries of a text CONDITIONING that hold for what is assembled from it, too."""
    return {key: text[key] for key in (*APPLIES, *CONDITIONING) if text.get(key) is not None}
