"""The files of ComfyUI's save nodes: their names of our tensors, and ours.

ModelSave writes the transformer, VAESave the VAE, and Save Checkpoint both with the conditioners
beside them. Such a file has no header of ours: its config is a tensor, the text as bytes.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

CONFIG, TOKENIZER = "audiox.config", "audiox.tokenizer"
TEXTS = {CONFIG: "audiox", TOKENIZER: "tokenizer"}  # tensor -> entry of the header
VAE_CONFIG = f"first_stage_model.{CONFIG}"  # beside that of the whole model
HOST_MODEL, HOST_VAE = "model.diffusion_model.", "first_stage_model.oobleck."

PREFIXES = {  # of a save node -> of a release
    HOST_MODEL: "model.model.",
    HOST_VAE: "pretransform.model.",
    "oobleck.": "",
}
NORMS = {"norm.weight": "norm.gamma", "norm.bias": "norm.beta"}  # of the transformer
# what ComfyUI adds, and the CLIP that was connected: T5-base is looked for in its own file
FOREIGN = {"edm_vpred.": "range of the noise", "cond_stage_model.": "a text encoder of ComfyUI"}


@dataclass(frozen=True)
class Renamed:
    """The tensors of a file that are ours, and what else is in it."""

    names: Mapping[str, str]  # ours -> in the file
    others: Mapping[str, str] = field(default_factory=dict)  # name -> what


def is_saved(names: Collection[str]) -> bool:
    """Whether a save node of ComfyUI wrote these names from objects of ours."""
    return CONFIG in names


def rename(names: Collection[str]) -> Renamed:
    """Our names of the tensors in such a file."""
    ours, others = {}, {}
    for name in names:
        foreign = next((what for start, what in FOREIGN.items() if name.startswith(start)), None)
        if foreign is not None:
            others[name] = foreign
        elif name not in (*TEXTS, VAE_CONFIG):
            ours[_ours(name)] = name
    return Renamed(ours, others)


def _ours(name: str) -> str:
    for theirs, released in PREFIXES.items():
        if name.startswith(theirs):
            name = released + name.removeprefix(theirs)
            break
    if not name.startswith("model.model."):
        return name
    end = next((end for end in NORMS if name.endswith(end)), None)
    return name if end is None else name.removesuffix(end) + NORMS[end]


def text_tensor(text: str) -> Tensor:
    """A text, not an empty one, as a tensor of bytes."""
    return torch.frombuffer(bytearray(text.encode()), dtype=torch.uint8)
