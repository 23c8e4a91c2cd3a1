"""What both transformers have around their blocks."""

import pytest
import torch
from torch import nn

from audiox_core.config import DiTConfig, MMDiTConfig
from audiox_core.models import backbone as build
from audiox_core.models.attention import torch_attention
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


DIT = DiTConfig(io_channels=4, width=64, depth=2, head_dim=32, cond_dim=32, global_dim=0)
MMDIT = MMDiTConfig(4, 24, 3, 6, 10, 0, 32, 3, 8, 5)  # 24 wide, 3 blocks, 7 frames, 5 tokens


@pytest.fixture(params=[DIT, MMDIT], ids=["DiT", "MMDiT"])
def hooked(request, seeded):
    """A whole transformer: its prediction with hooks in place of its blocks."""
    config = request.param
    with torch.device("meta"):
        model = build(config)
    state = {
        name: torch.randn(x.shape, generator=seeded) / max(1, x[0].numel()) ** 0.5
        for name, x in model.state_dict().items()
    }
    model.load_state_dict(state, assign=True)
    x, tokens = (torch.randn(2, *s, generator=seeded) for s in ((4, 7), (5, config.cond_dim)))
    model.requires_grad_(False)
    return model, x, lambda hooks=None: model(x, torch.tensor([0.2, 0.9]), tokens, hooks=hooks)


def test_hooks_in_place_of_all_blocks_leave_what_is_around_them(hooked):
    model, x, predict = hooked
    transformer = model.transformer
    skipped = predict({index: lambda _, inputs: inputs["x"] for index in range(3)})
    inner = (x + model.preprocess_conv(x)).transpose(1, 2)
    inner = transformer.project_out(transformer.project_in(inner)).transpose(1, 2)
    torch.testing.assert_close(skipped, inner + model.postprocess_conv(inner))


def test_a_hook_that_runs_its_block_changes_nothing(hooked):
    _, _, predict = hooked
    assert torch.equal(predict({1: lambda block, inputs: block(**inputs)}), predict())


def test_a_hook_may_replace_the_kernel_of_the_self_attention(hooked):
    _, _, predict = hooked
    calls = []

    def kernel(q, k, v):
        calls.append((q.shape[2], k.shape[2]))
        return torch_attention(q, k, v)

    def own_kernel(block, inputs):
        return block(**{**inputs, "attention": kernel})

    torch.testing.assert_close(predict({1: own_kernel}), predict())
    assert calls == [(8, 8)]  # the time token and seven frames
