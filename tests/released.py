"""The released layout: a module's tensors under the names and shapes of the original file."""

from math import prod

import torch
from torch import nn

from audiox_core.conditioners.audio import AudioConditioner
from audiox_core.conditioners.encoders import clip_vision
from audiox_core.conditioners.video import VideoConditioner
from audiox_core.config import AudioXConfig
from audiox_core.models.dit import DiT
from audiox_core.models.oobleck import Oobleck

Shapes = dict[str, tuple[int, ...]]


def shapes_of(module: nn.Module) -> Shapes:
    return {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}


def oobleck_layout(module: Oobleck) -> Shapes:
    """Weight norm unfolded again: a direction `weight_v` and a length `weight_g`."""
    layout: Shapes = {}
    for name, shape in shapes_of(module).items():
        if name.endswith(".weight"):
            layout[f"{name}_g"] = (shape[0], *[1] * (len(shape) - 1))
            layout[f"{name}_v"] = shape
        else:
            layout[name] = shape
    return layout


def dit_layout(module: DiT) -> Shapes:
    """The norms under their own names, and the rotary frequencies, which we compute."""
    theirs = {"weight": "gamma", "bias": "beta"}
    layout = {"transformer.rotary_pos_emb.inv_freq": (module.transformer.rotary_dim // 2,)}
    for name, shape in shapes_of(module).items():
        path, _, last = name.rpartition(".")
        layout[f"{path}.{theirs[last]}" if path.endswith("norm") else name] = shape
    return layout


def released_layout(config: AudioXConfig, *, prompt_vae: bool = True) -> Shapes:
    """All tensors of a v1 file with these sizes."""
    with torch.device("meta"):
        video = VideoConditioner(
            config.video, config.video.clip.tokens, clip_vision(config.video.clip)
        )
        audio = AudioConditioner(config.latent.channels, config.audio_tokens, config.dit.cond_dim)
        vae = oobleck_layout(Oobleck(config.vae))
        parts = {
            "model.model.": dit_layout(DiT(config.dit)),
            "conditioner.conditioners.video_prompt.": shapes_of(video),
            "conditioner.conditioners.audio_prompt.": shapes_of(audio),
            "pretransform.model.": vae,
        }
    if prompt_vae:
        parts["conditioner.conditioners.audio_prompt.pretransform.model."] = vae
    return {prefix + name: shape for prefix, part in parts.items() for name, shape in part.items()}


def elements(layout: Shapes) -> int:
    return sum(prod(shape) for shape in layout.values())
