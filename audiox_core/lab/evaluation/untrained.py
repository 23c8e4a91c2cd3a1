"""The same model before training: what any figure has to be held against."""

from dataclasses import replace

from ...checkpoint.checkpoint_file import Checkpoint
from ...models.oobleck import Oobleck
from ..from_scratch.init import new_model, new_vae

SEED = 0


def untrained(checkpoint: Checkpoint) -> Checkpoint:
    """What training began from; the VAE and the words stay."""
    tokenizer = checkpoint.conditioners.text.tokenizer
    model, conditioners = new_model(checkpoint.config, tokenizer, SEED)
    for module in (model, conditioners):
        module.eval().requires_grad_(False).to(checkpoint.device)
    return replace(checkpoint, backbone=model, conditioners=conditioners)


def untrained_vae(checkpoint: Checkpoint) -> Oobleck:
    """What the training of such a VAE begins from."""
    vae = new_vae(checkpoint.config.vae, SEED)
    return vae.eval().requires_grad_(False).to(checkpoint.device)
