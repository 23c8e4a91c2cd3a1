"""What a host's save nodes add to the tensors of our objects, so that the file loads again."""

import json
from collections.abc import Mapping
from dataclasses import asdict

import torch
from torch import Tensor

from ..config import AudioXConfig, LatentConfig, OobleckConfig
from .layout import AUDIO_VAE, PARTS, SYNC, TEXT
from .part_files import prompt_vae
from .saved_names import CONFIG, TOKENIZER, text_tensor
from .weight_file import WeightFile


def model_config(config: AudioXConfig) -> dict[str, Tensor]:
    """The config of a whole model as a tensor: tensors do not tell which variant they are of."""
    return {CONFIG: text_tensor(config.to_json())}


def vae_config(vae: OobleckConfig, latent: LatentConfig) -> Tensor:
    """The config of a VAE alone as a tensor."""
    return text_tensor(json.dumps({"vae": asdict(vae), "latent": asdict(latent)}))


def conditioner_tensors(
    weights: WeightFile, config: AudioXConfig, vae: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """The conditioners in a checkpoint's own file, and its text encoder and Synchformer if any.

    Args:
        weights: of the checkpoint.
        config: of its model.
        vae: the VAE that is saved beside them, weight norm folded; audio prompts use it unless
            the checkpoint's own differs.
    """
    prefixes = (*PARTS["conditioners"], TEXT, SYNC)
    names = [n for n in weights.tensors if n.startswith(prefixes) and not n.startswith(AUDIO_VAE)]
    tensors = {name: weights.copy(name) for name in names}
    if tensors and TEXT + "shared.weight" in tensors and "tokenizer" in weights.header:
        tensors[TOKENIZER] = text_tensor(weights.header["tokenizer"])
    prompts = prompt_vae(weights, config)
    if prompts is not None:
        own = prompts.load().state_dict()
        if not _equal(own, vae):
            tensors |= {AUDIO_VAE + name: tensor for name, tensor in own.items()}
    return tensors


def _equal(own: Mapping[str, Tensor], saved: Mapping[str, Tensor]) -> bool:
    """Whether two VAEs are equal in the second one's dtype."""
    return own.keys() == saved.keys() and all(
        torch.equal(tensor.to(saved[name].dtype), saved[name].cpu()) for name, tensor in own.items()
    )
