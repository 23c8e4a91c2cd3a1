"""The contrastive loss: each text and picture has to find the sound of its own clip."""

import pytest
import torch

from audiox_core.lab.from_scratch.contrast import Contrast
from audiox_core.training.rng import seeded as with_seed

THERE = torch.ones(6, dtype=torch.bool)


@pytest.fixture
def contrast():
    with with_seed(0):
        return Contrast(5, 7, 3)


@pytest.fixture
def clips(seeded):
    """Text and pictures `6 d` that tell the power of each clip's latents `6 3 20`."""
    kinds = torch.eye(6)
    scale = 1 + 4 * torch.rand(6, 3, 1, generator=seeded)
    latent = scale * torch.randn(6, 3, 20, generator=seeded)
    return kinds[:, :5], torch.cat([kinds, kinds[:, :1]], dim=1), latent


def test_it_learns_which_clip_a_text_and_a_picture_belong_to(contrast, clips):
    optimiser = torch.optim.Adam(contrast.parameters(), lr=0.01)
    losses = []
    for _ in range(150):
        loss = contrast(*clips, THERE, THERE)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.2 * losses[0]


def test_what_is_absent_does_not_count(contrast, clips):
    text, video, latent = clips
    there = THERE.clone()
    there[2] = False
    changed = text.clone()
    changed[2] = 100
    before = contrast(text, video, latent, there, THERE)
    torch.testing.assert_close(contrast(changed, video, latent, there, THERE), before)
    assert contrast(changed, video, latent, THERE, THERE) != before


def test_one_clip_alone_has_no_loss(contrast, clips):
    only = torch.zeros(6, dtype=torch.bool)
    only[1] = True
    loss = contrast(*clips, only, only)
    loss.backward()
    assert loss == 0
    assert not contrast.text.weight.grad.any()
