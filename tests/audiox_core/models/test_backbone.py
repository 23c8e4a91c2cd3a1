"""What both transformers have around their blocks."""

import pytest
import torch
from torch import nn

from audiox_core.config import DiTConfig
from audiox_core.models.backbone import BackboneBase

SIZES = DiTConfig(io_channels=4, width=8, cond_dim=4, global_dim=4, time_frequencies=2)


class Recording(nn.Module):
    """In place of the blocks: returns its input, and keeps the time token and the conditions."""

    def forward(self, x, time_token, prepared, _hooks):
        self.seen = time_token, prepared
        return x


@pytest.fixture
def backbone(seeded):
    with torch.device("meta"):
        module = BackboneBase(SIZES, Recording, nn)
    state = module.state_dict().items()
    state = {name: torch.randn(x.shape, generator=seeded) for name, x in state}
    module.load_state_dict(state, assign=True)
    return module.requires_grad_(False)


def test_both_convolutions_are_added_to_what_they_convolve(backbone, seeded):
    x = torch.randn(2, 4, 5, generator=seeded)
    before, after = (
        conv.weight[..., 0] for conv in (backbone.preprocess_conv, backbone.postprocess_conv)
    )
    inner = x + before @ x
    out = backbone.predict(x, torch.zeros(2), "prepared")
    torch.testing.assert_close(out, inner + after @ inner)
    assert backbone.transformer.seen[1] == "prepared"


def test_a_global_condition_is_added_to_the_time_token(backbone, seeded):
    x, t = torch.randn(2, 4, 5, generator=seeded), torch.tensor([0.1, 0.7])
    extra = torch.randn(2, 4, generator=seeded)
    backbone.predict(x, t, None)
    plain, _ = backbone.transformer.seen
    backbone.predict(x, t, None, extra)
    moved, _ = backbone.transformer.seen
    expected = plain + backbone.to_global_embed(extra)[:, None]
    torch.testing.assert_close(moved, expected)
