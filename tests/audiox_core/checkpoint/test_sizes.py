"""Sizes from the shapes of tensors alone."""

from dataclasses import replace

import pytest

from audiox_core.checkpoint.layout import (
    oobleck_layout,
    released_layout,
    synchformer_layout,
    text_layout,
)
from audiox_core.checkpoint.sizes import (
    config_from_shapes,
    oobleck_sizes,
    synchformer_sizes,
    text_sizes,
)
from audiox_core.config import OobleckConfig, SynchformerConfig, TextConfig
from audiox_core.variants import VARIANTS


@pytest.mark.parametrize("variant", VARIANTS)
def test_all_sizes_of_a_release_are_read_from_shapes(variant):
    preset = VARIANTS[variant]
    assert config_from_shapes(released_layout(preset), preset) == preset


@pytest.mark.parametrize("variant", VARIANTS)
def test_other_sizes_are_read_from_shapes_too(toys, variant):
    config = toys.tiny(variant)
    found = config_from_shapes(released_layout(config), VARIANTS[variant])
    assert found.vae == config.vae
    # the width of a head is not in the shapes: the variant's is taken
    assert found.dit == replace(config.dit, head_dim=VARIANTS[variant].dit.head_dim)
    assert (found.video.frames, found.video.tokens) == (config.video.frames, config.video.tokens)
    assert replace(found.video.clip, heads=2) == config.video.clip
    assert (found.audio_tokens, found.audio_latents) == (config.audio_tokens, config.audio_latents)
    assert (found.mel is None) == (config.mel is None)
    if config.maf is not None:
        assert replace(found.maf, heads=config.maf.heads) == config.maf


@pytest.mark.parametrize(
    "config",
    [
        OobleckConfig(),
        OobleckConfig(io_channels=1, channels=4, multipliers=(1, 3), strides=(3, 5)),
        OobleckConfig(channels=2, multipliers=(1,) * 6, strides=(2,) * 6, latent_channels=8),
    ],
)
def test_sizes_of_a_vae_are_read_from_its_convolutions(config):
    assert oobleck_sizes(oobleck_layout(config), "") == config


def test_sizes_of_a_synchformer_are_read_from_its_shapes():
    config = SynchformerConfig(
        width=128, depth=2, heads=2, ff_width=96, patch=8, patch_frames=4, image=32, segment=12
    )
    assert synchformer_sizes(synchformer_layout(config, "x."), "x.") == config


@pytest.mark.parametrize("gated", [False, True])
def test_sizes_of_a_text_encoder_are_read_from_its_shapes(gated):
    config = TextConfig(
        vocab_size=99, width=48, depth=3, heads=4, head_dim=8, ff_width=72, gated=gated, buckets=16
    )
    assert text_sizes(text_layout(config, "x."), "x.") == config
