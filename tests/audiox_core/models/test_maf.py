"""The fusion block: gates, experts, and what is added to each modality."""

import pytest
import torch
from torch.nn.functional import layer_norm

from audiox_core.config import MAFConfig
from audiox_core.models.maf import MAFBlock

SIZES = MAFConfig(8, 2, 2, 1, 16)  # 8 wide, two experts of each modality, one layer


@pytest.fixture
def maf(seeded):
    with torch.device("meta"):
        block = MAFBlock(SIZES)
    state = {k: 0.5 * torch.randn(x.shape, generator=seeded) for k, x in block.state_dict().items()}
    block.load_state_dict(state, assign=True)
    return block.requires_grad_(False).eval()


@pytest.fixture
def slots(seeded):
    return tuple(torch.randn(1, n, 8, generator=seeded) for n in (3, 4, 5))  # text, video, audio


def test_gates_are_read_off_the_mean_of_each_modality(maf, slots):
    first, _, last = maf.gating_network
    means = torch.cat([tokens.mean(dim=1) for tokens in slots], dim=1)
    hidden = torch.nn.functional.gelu(means @ first.weight.T + first.bias)
    expected = (hidden @ last.weight.T + last.bias).sigmoid()
    torch.testing.assert_close(maf.gates(slots), expected)


def test_each_modality_gets_the_mean_of_its_own_experts_through_its_own_gate(maf, slots):
    experts = maf.fuse(maf.read(slots))
    assert experts.shape == (1, 6, 8)
    for index, (name, out) in enumerate(zip("vta", maf(*slots), strict=True)):
        own = experts[:, 2 * index : 2 * index + 2].mean(dim=1, keepdim=True)
        norm = maf.get_submodule(f"norm_{name}2")
        added = layer_norm(own, (8,), norm.weight, norm.bias)
        gate = maf.get_parameter(f"bypass_gate_{name}").sigmoid()
        torch.testing.assert_close(out, slots[index] + gate * added)


def test_a_closed_gate_leaves_a_modality_as_it_is(maf, slots):
    maf.bypass_gate_t.fill_(-100.0)
    _, video, _ = maf(*slots)  # the second slot holds video, under a name that says text
    torch.testing.assert_close(video, slots[1])


def test_a_modality_whose_gate_is_closed_is_not_read(maf, slots):
    last = maf.gating_network[2]
    last.weight[1], last.bias[1] = 0, -100.0
    other = (slots[0], slots[1].flip(1) * 2, slots[2])
    maf.gating_network[0].weight.zero_()  # the gates do not depend on the tokens
    torch.testing.assert_close(maf.read(slots), maf.read(other))
