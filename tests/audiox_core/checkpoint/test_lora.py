"""Low-rank adapters: files, and adding one to a backbone."""

from math import prod

import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn.utils import skip_init

from audiox_core.checkpoint.lora import Adapter, lora_tensors, merge_lora, read_lora
from audiox_core.errors import WeightsError

UP, DOWN = torch.tensor([[1.0], [2.0]]), torch.tensor([[3.0, 4.0, 5.0]])
PRODUCT = torch.tensor([[3.0, 4.0, 5.0], [6.0, 8.0, 10.0]])


def pair(up, down, alpha=None):
    tensors = {"0.lora_up.weight": up.contiguous(), "0.lora_down.weight": down.contiguous()}
    return tensors if alpha is None else tensors | {"0.alpha": alpha}


@pytest.fixture
def model():
    model = nn.Sequential(skip_init(nn.Linear, 3, 2))
    nn.init.ones_(model[0].weight)
    return model


@pytest.fixture
def save(tmp_path):
    def run(tensors):
        save_file(tensors, tmp_path / "lora.safetensors")
        return tmp_path / "lora.safetensors"

    return run


def test_an_adapter_adds_up_times_down_times_alpha_over_rank():
    up, down = torch.cat([UP, UP], dim=1), torch.cat([DOWN, DOWN])
    assert torch.equal(Adapter(UP, DOWN, alpha=0.5).delta(), 0.5 * PRODUCT)
    assert torch.equal(Adapter(up, down, alpha=0.5).delta(), 0.5 * PRODUCT)  # rank 2


@pytest.mark.parametrize("strength", [1.0, 0.5, -1.0])
def test_merging_adds_the_adapter_times_strength(model, save, strength):
    path = save(lora_tensors({"0": Adapter(UP, DOWN, alpha=2.0)}, torch.float32))
    assert merge_lora(model, path, strength) == 1
    assert torch.equal(model[0].weight, 1 + 2 * strength * PRODUCT)
    assert not model[0].weight.requires_grad


def test_peft_names_are_read_and_a_missing_alpha_is_the_rank(save):
    adapter = read_lora(save({"0.lora_B.weight": UP, "0.lora_A.weight": DOWN}))["0"]
    assert adapter.alpha == 1
    assert torch.equal(adapter.delta(), PRODUCT)


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ({"x.weight": UP}, "is not a LoRA"),
        ({"0.lora_up.weight": UP}, "no matching '.lora_down.weight'"),
        (pair(UP, PRODUCT), r"'0.lora_down.weight' of shape \(2, 3\), which does not fit"),
        (pair(UP, DOWN[0]), r"'0.lora_down.weight' of shape \(3,\), which does not fit"),
        (pair(UP[0], DOWN), r"does not fit '0.lora_up.weight' \(1,\)"),
        (pair(torch.tensor(1.0), DOWN), r"does not fit '0.lora_up.weight' \(\)"),
        (pair(torch.zeros(2, 0), torch.zeros(0, 3)), "empty tensor '0.lora_up.weight'"),
        (
            pair(UP[:, :, None].expand(2, 1, 3), DOWN),
            r"does not fit '0.lora_up.weight' \(2, 1, 3\)",
        ),
        (pair(UP * torch.nan, DOWN), "NaN or infinite values in '0.lora_up.weight'"),
        (pair(UP, DOWN / 0), "NaN or infinite values in '0.lora_down.weight'"),
        (pair(UP.to(torch.int8), DOWN), "'0.lora_up.weight' as int8"),
        (pair(UP, DOWN, torch.tensor(0.0)), r"'0.alpha' of \[0.0\]"),
        (pair(UP, DOWN, torch.ones(2)), r"'0.alpha' of \[1.0, 1.0\], but it must be one number"),
        (pair(UP, DOWN, torch.ones(0)), "empty tensor '0.alpha'"),
        (pair(UP, DOWN, torch.tensor(torch.nan)), "NaN or infinite values in '0.alpha'"),
        (pair(UP, DOWN, -torch.tensor(torch.inf)), "NaN or infinite values in '0.alpha'"),
        (pair(UP, DOWN, torch.tensor(3j)), "'0.alpha' as complex64|stores weights as C64"),
    ],
)
def test_files_without_complete_adapters_are_refused(save, tensors, message):
    with pytest.raises(WeightsError, match=message):
        read_lora(save(tensors))


def test_an_integer_alpha_is_read(save):
    assert read_lora(save(pair(UP, DOWN, torch.tensor(3))))["0"].alpha == 3


@pytest.mark.parametrize("kernel", [(3,), (3, 3)])
def test_an_adapter_of_a_convolution_is_added(save, kernel):
    kind = nn.Conv1d if len(kernel) == 1 else nn.Conv2d
    model = nn.Sequential(skip_init(kind, 4, 2, kernel, bias=False))
    nn.init.ones_(model[0].weight)
    down = torch.arange(4.0 * prod(kernel)).view(1, 4, *kernel)
    merge_lora(model, save(pair(UP.view(2, 1, *[1] * len(kernel)), down)))
    assert torch.equal(model[0].weight, 1 + torch.stack([down[0], 2 * down[0]]))


@pytest.mark.parametrize(("layer", "found"), [("1", "no such layer"), ("0", r"shape \(2, 3\)")])
def test_a_lora_of_another_model_is_refused(model, save, layer, found):
    path = save(lora_tensors({layer: Adapter(DOWN.mT, UP.mT, alpha=1.0)}, torch.float32))
    with pytest.raises(WeightsError, match=f"but the model has {found}"):
        merge_lora(model, path)
