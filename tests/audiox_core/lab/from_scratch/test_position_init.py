"""A new transformer, before it learned anything: does a latent frame know its place?"""

import pytest
import torch

from audiox_core.config import DiTConfig
from audiox_core.lab.from_scratch.init import init_model
from audiox_core.lab.from_scratch.position_init import WINDOW, clock, init_frame_positions, waves
from audiox_core.models.dit import DiT
from audiox_core.training.rng import seeded


@pytest.fixture(scope="module")
def frames():
    """What the third block is given for noise at several times, `b t d`."""
    with seeded(0):
        model = DiT(DiTConfig(width=192, depth=3, head_dim=32, cond_dim=32, global_dim=0))
        init_model(model)
        noise = torch.randn(8, 64, WINDOW)
    seen = []
    model.transformer.layers[2].pre_norm.register_forward_hook(lambda *a: seen.append(a[1][0]))
    with torch.no_grad():
        model(noise, torch.linspace(0.1, 0.9, 8), None)
    return seen[0][:, 1:]


@pytest.mark.parametrize("wavelength", [199, 63, 20])
def test_positions_can_be_read_with_a_linear_map(frames, wavelength):
    """By a linear map that knows six clips, in two others."""
    angles = 2 * torch.pi * torch.arange(WINDOW) / wavelength
    wanted = torch.stack([angles.cos(), angles.sin()], dim=-1).expand(8, -1, -1)
    ones = torch.ones(8, WINDOW, 1)
    known, asked = torch.cat([frames, ones], dim=-1).flatten(0, 1).split([6 * WINDOW, 2 * WINDOW])
    solution = torch.linalg.lstsq(known, wanted[:6].flatten(0, 1)).solution
    missed = (asked @ solution - wanted[6:].flatten(0, 1)).square().mean()
    assert missed < 0.2 * wanted.var()


@pytest.mark.parametrize("dim", [6, 7])
def test_near_frames_have_similar_positions(dim):
    embedding = torch.nn.Parameter(torch.empty(1, 40, dim))
    init_frame_positions(embedding)
    assert torch.equal(embedding[0], waves(40, dim))
    assert embedding.std().item() == pytest.approx(1, abs=0.3)
    near, far = ((embedding[0, 20] - embedding[0, n]).norm() for n in (21, 39))
    assert near < far


@pytest.mark.parametrize("heads", [1, 2, 3, 5, 6])
def test_any_number_of_heads_is_supported(heads):
    width = 32 * heads
    with seeded(0):
        model = DiT(DiTConfig(width=width, depth=2, head_dim=32, cond_dim=32, global_dim=0))
        init_model(model)
    rows = clock(model, torch.arange(8.0)).shape[1]
    assert rows == 2 * min(heads // 2, 3 if heads > 5 else 2)
