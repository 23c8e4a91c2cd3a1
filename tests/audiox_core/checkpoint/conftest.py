"""Files of the released layout at toy size."""

import pytest
import torch
from safetensors.torch import load_file

from audiox_core import load_checkpoint
from audiox_core.checkpoint.layout import AUDIO_VAE, INV_FREQ, VAE


@pytest.fixture(scope="session")
def toy_checkpoint(toy):
    return load_checkpoint(toy, device="cpu")


@pytest.fixture(scope="session")
def state(toy):
    """The toy's weights with both copies of the VAE, as in a released file."""
    state = {name: tensor.float() for name, tensor in load_file(toy).items()}
    vae = {name: tensor for name, tensor in state.items() if name.startswith(VAE)}
    state |= {AUDIO_VAE + name.removeprefix(VAE): tensor.clone() for name, tensor in vae.items()}
    state[INV_FREQ] = 10_000 ** (-torch.arange(0, 32, 2) / 32)
    return state


@pytest.fixture
def released_file(state, tmp_path):
    """Write a released `.ckpt`: no header, no text encoder; other tensors by name, None drops."""

    def run(name="model.ckpt", **changes):
        released = {n: t for n, t in state.items() if not n.startswith("text_encoder.")}
        released = {n: t for n, t in {**released, **changes}.items() if t is not None}
        torch.save({"state_dict": released}, tmp_path / name)
        return tmp_path / name

    return run
