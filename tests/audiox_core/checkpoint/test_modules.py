"""Modules with the weights of a file."""

import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torch.overrides import TorchFunctionMode

from audiox_core.checkpoint.modules import load_module
from audiox_core.checkpoint.weight_file import open_weights
from audiox_core.errors import WeightsError


@pytest.fixture
def save(tmp_path):
    def run(**tensors):
        save_file({name.replace("_", "."): t for name, t in tensors.items()}, tmp_path / "a.sft")
        return open_weights(tmp_path / "a.sft")

    return run


def build():
    return nn.Sequential(nn.Linear(2, 2))


def test_weights_below_the_prefix_are_loaded_for_evaluation_without_gradients(save):
    weight = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    file = save(m_0_weight=weight, m_0_bias=torch.ones(2), other=torch.zeros(1))
    module = load_module(file, "m.", build)
    assert torch.equal(module(torch.ones(1, 2)), torch.tensor([[4.0, 8.0]]))
    assert not module.training
    assert not any(parameter.requires_grad for parameter in module.parameters())


def test_names_are_mapped_and_another_modules_part_is_left_out(save):
    file = save(m_w=torch.eye(2), m_b=torch.zeros(2), m_other_x=torch.zeros(1))
    module = load_module(
        file, "m.", build, without="m.other.",
        canonical=lambda state: {"0.weight": state["w"], "0.bias": state["b"]},
    )  # fmt: skip
    assert torch.equal(module[0].weight, torch.eye(2))


@pytest.mark.parametrize(
    ("dtype", "bias"),
    [(torch.float16, torch.float16), (torch.float8_e4m3fn, torch.float32)],
)
def test_in_eight_bits_only_matrices_are_kept(save, dtype, bias):
    file = save(m_0_weight=torch.eye(2), m_0_bias=torch.ones(2))
    module = load_module(file, "m.", build, dtype=dtype)
    assert (module[0].weight.dtype, module[0].bias.dtype) == (dtype, bias)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_refused(save, value):
    file = save(m_0_weight=torch.full((2, 2), value), m_0_bias=torch.ones(2))
    with pytest.raises(WeightsError, match=r"NaN or infinite values in 'm\.0\.weight'"):
        load_module(file, "m.", build)


def test_weights_of_integers_are_refused(save):
    file = save(m_0_weight=torch.ones(2, 2, dtype=torch.int32), m_0_bias=torch.ones(2))
    with pytest.raises(WeightsError, match="as int32, which is not a floating-point type"):
        load_module(file, "m.", build)


def test_numbers_are_checked_and_converted_before_they_go_to_a_device_without_their_type(save):
    class Moves(TorchFunctionMode):
        """Notes the dtype of what goes to the meta device, which stands for such a device."""

        def __torch_function__(self, called, types, args=(), kwargs=None):
            if called is torch.Tensor.to and args[1:2] == (torch.device("meta"),):
                moved.append(args[0].dtype)
            return called(*args, **(kwargs or {}))

    moved: list[torch.dtype] = []
    file = save(m_0_weight=torch.eye(2, dtype=torch.float64), m_0_bias=torch.ones(2).double())
    with Moves():
        module = load_module(file, "m.", build, device=torch.device("meta"))
    assert {p.device.type for p in module.parameters()} == {"meta"}
    assert torch.float32 in moved
    assert torch.float64 not in moved


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU to load to")
def test_weights_are_loaded_to_a_device(save):
    file = save(m_0_weight=torch.eye(2), m_0_bias=torch.ones(2))
    module = load_module(file, "m.", build, device="cuda", dtype=torch.float16)
    assert {(p.device.type, p.dtype) for p in module.parameters()} == {("cuda", torch.float16)}
    with pytest.raises(WeightsError, match="NaN"):
        load_module(save(m_0_weight=torch.eye(2) / 0, m_0_bias=torch.ones(2)), "m.", build)
