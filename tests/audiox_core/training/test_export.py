"""Trained weights in the layout of the released files."""

import torch

from audiox_core.lab.from_scratch.init import new_vae
from audiox_core.training.export import unfold_weight_norm


def test_plain_weights_unfold_into_lengths_and_directions(settings):
    vae = new_vae(settings().model.vae, seed=0)
    with torch.no_grad():
        vae.encoder.layers[0].weight[1] = 0  # a filter that died
    unfolded = unfold_weight_norm(vae.state_dict())
    name = "encoder.layers.0.weight"
    g, v = unfolded[f"{name}_g"], unfolded[f"{name}_v"]
    norm = v.flatten(1).norm(dim=1).view(g.shape)
    torch.testing.assert_close(g * v / norm, vae.encoder.layers[0].weight)
