"""Parts that may have a file of their own."""

import pytest
import torch

from audiox_core.checkpoint.layout import AUDIO_VAE, VAE
from audiox_core.checkpoint.part_files import open_vae, synchformer_in
from audiox_core.checkpoint.weight_file import open_weights
from audiox_core.errors import WeightsError


@pytest.fixture
def vae_file(state, tmp_path):
    """Write the toy's VAE alone, its numbers times a factor."""

    def run(name="vae.ckpt", factor=1.0):
        vae = {n.removeprefix(VAE): factor * t for n, t in state.items() if n.startswith(VAE)}
        torch.save({"state_dict": vae}, tmp_path / name)
        return tmp_path / name

    return run


def test_the_vae_beside_a_checkpoint_without_one_is_opened(released_file, state, vae_file):
    path = released_file(**dict.fromkeys([n for n in state if n.startswith((VAE, AUDIO_VAE))]))
    with pytest.raises(WeightsError, match="contains no VAE, and none was found beside it"):
        open_vae(path)
    beside = vae_file()
    assert open_vae(path).weights.path == beside


def test_the_vae_of_a_checkpoint_is_that_in_its_file(released_file, vae_file):
    vae_file(factor=2.0)
    file = open_vae(released_file())
    assert file.weights.path.name == "model.ckpt"
    assert file.prefix == VAE


def test_a_file_without_a_vae_is_refused(tmp_path):
    torch.save({"state_dict": {"x": torch.zeros(1)}}, tmp_path / "x.ckpt")
    with pytest.raises(WeightsError, match="contains no AudioX VAE"):
        open_vae(tmp_path / "x.ckpt")


def test_a_file_that_is_no_synchformer_is_refused(released_file, toys):
    with pytest.raises(WeightsError, match="is not a Synchformer"):
        synchformer_in(open_weights(released_file()), toys.tiny("audiox-maf"))
