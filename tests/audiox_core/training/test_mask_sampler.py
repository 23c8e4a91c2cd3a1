"""Masks of training: how many patches, tokens and clips, and which."""

import pytest
import torch

from audiox_core.training.mask_sampler import (
    MaskConfig,
    draw_masks,
    hidden_patches,
    hidden_tokens,
    kept_tokens,
)

ALWAYS = MaskConfig(masked=1.0, absent=0.0, unconditional=0.0)
UNIFORM = torch.tensor([[0.9, 0.1, 0.5, 0.3, 0.7]])


def test_the_tokens_with_the_smallest_numbers_are_kept_in_ascending_order():
    assert kept_tokens(UNIFORM, 0.4).tolist() == [[1, 3, 2]]  # 3 of 5
    assert kept_tokens(UNIFORM, 0.5).tolist() == [[1, 3]]  # 2.5 rounded down
    assert kept_tokens(UNIFORM, 0.0).tolist() == [[1, 3, 2, 4, 0]]


def test_all_other_tokens_are_hidden():
    assert hidden_tokens(UNIFORM, 0.4).tolist() == [[True, False, False, False, True]]
    assert not hidden_tokens(UNIFORM, 0.0).any()
    assert hidden_tokens(UNIFORM, 1.0).all()


def test_the_first_patches_of_a_permutation_are_hidden_row_by_row():
    hidden = hidden_patches(torch.tensor([5, 0, 7, 1, 2, 3, 4, 6, 8]), 0.4, 3)
    assert hidden.tolist() == [[True, False, False], [False, False, True], [False, True, False]]


def test_every_clip_is_masked_with_probability_one(seeded):
    masks = draw_masks(ALWAYS, 50, patches_per_side=7, tokens=20, generator=seeded)
    assert masks.patches.shape == (50, 7, 7)
    assert masks.patches.sum(dim=(1, 2)).tolist() == [29] * 50  # of 49, 0.6
    assert masks.text.shape == (50, 20)
    assert masks.text.sum(dim=1).tolist() == [6] * 50  # of 20, 0.3
    assert (masks.patches[0] != masks.patches[1]).any()
    assert (masks.text[0] != masks.text[1]).any()
    for begin, end in masks.sound:
        assert 0 <= begin < end <= 1
        assert 0.25 - 0.001 <= end - begin <= 0.75
    assert not torch.stack([*masks.absent.values(), masks.unconditional]).any()


def test_no_clip_is_masked_with_probability_zero(seeded):
    config = MaskConfig(masked=0.0, absent=1.0, unconditional=1.0)
    masks = draw_masks(config, 8, patches_per_side=7, tokens=20, generator=seeded)
    assert not masks.patches.any()
    assert not masks.text.any()
    assert masks.sound == [None] * 8
    assert set(masks.absent) == {"video", "text", "audio"}
    assert all(absent.all() for absent in masks.absent.values())
    assert masks.unconditional.all()


def test_modalities_are_masked_independently_with_their_probabilities(seeded):
    config = MaskConfig(masked=0.5, absent=0.2, unconditional=0.1)
    masks = draw_masks(config, 4_000, patches_per_side=2, tokens=4, generator=seeded)
    drawn = {
        "patches": (masks.patches.flatten(1).any(dim=1), 0.5),
        "text": (masks.text.any(dim=1), 0.5),
        "sound": (torch.tensor([span is not None for span in masks.sound]), 0.5),
        **{f"absent {name}": (absent, 0.2) for name, absent in masks.absent.items()},
        "unconditional": (masks.unconditional, 0.1),
    }
    for name, (happened, chance) in drawn.items():
        assert happened.float().mean().item() == pytest.approx(chance, abs=0.03), name
    together = torch.corrcoef(torch.stack([happened.float() for happened, _ in drawn.values()]))
    assert (together - torch.eye(len(drawn))).abs().max() < 0.06
