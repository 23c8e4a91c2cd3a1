"""CLIP's image tower gives the numbers of transformers, and reads its weights."""

import pytest
import torch

from audiox_core.config import ClipConfig
from audiox_core.models.clip import ClipVision

SIZES = ClipConfig(width=24, depth=2, heads=3, ff_width=32, patch=8, image=24, projection=16)


def test_hidden_states_are_those_of_transformers(seeded):
    transformers = pytest.importorskip("transformers")
    config = transformers.CLIPVisionConfig(
        hidden_size=24, intermediate_size=32, num_hidden_layers=2, num_attention_heads=3,
        image_size=24, patch_size=8, projection_dim=16, hidden_act="quick_gelu",
    )  # fmt: skip
    with torch.random.fork_rng():
        theirs = transformers.CLIPVisionModelWithProjection(config).eval()
        ours = ClipVision(SIZES)
    layout = {name: tensor.shape for name, tensor in ours.state_dict().items()}
    state = {name: torch.randn(shape, generator=seeded) / 4 for name, shape in layout.items()}
    for module in (theirs, ours):
        module.load_state_dict(state)
    pixels = torch.randn(2, 3, 24, 24, generator=seeded)
    with torch.no_grad():
        expected = theirs(pixels).last_hidden_state
        assert expected.shape == (2, SIZES.tokens, 24)
        torch.testing.assert_close(ours(pixels), expected, atol=1e-5, rtol=1e-5)
