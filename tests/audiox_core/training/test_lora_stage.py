import pytest
import torch

from audiox_core import open_checkpoint
from audiox_core.checkpoint.lora import merge_lora, read_lora
from audiox_core.errors import SettingsError, WeightsError
from audiox_core.training.config import LoraConfig
from audiox_core.training.distributed import Distributed
from audiox_core.training.lora_stage import adapted_layers
from audiox_core.training.run import prepare, run_job


@pytest.fixture(scope="module")
def lora_job(job, trained_model, tmp_path_factory):
    output = tmp_path_factory.mktemp("lora")
    changes = {"run.steps": 20, "optim.lr": 1e-2, "lora.rank": 4, "lora.alpha": 2.0}
    changes |= {"run.dtype": "float32", "ema.update_after": 1000}  # the last weights themselves
    return job("lora", output, changes=changes, init=trained_model.path)


@pytest.fixture(scope="module")
def lora(lora_job):
    return run_job(lora_job).weights


def test_the_lora_has_the_key_names_of_comfyuis_loader(lora):
    from audiox_core.checkpoint.weight_file import open_weights

    layer = "diffusion_model.transformer.layers.1.cross_attn.to_q"
    shapes = open_weights(lora).shapes
    assert shapes[f"{layer}.lora_up.weight"] == (64, 4)
    assert shapes[f"{layer}.lora_down.weight"] == (4, 64)
    assert shapes[f"{layer}.alpha"] == ()


def test_a_merged_lora_gives_the_trained_output(lora, lora_job, trained_model, seeded):
    stage, _ = prepare(lora_job, Distributed())
    adapters = read_lora(lora)
    for layer, module in zip(stage.module.layers, stage.module.adapters, strict=True):
        weights = {"up.weight": adapters[layer].up, "down.weight": adapters[layer].down}
        module.load_state_dict(weights)
    model = open_checkpoint(trained_model.path).load_backbone()
    assert merge_lora(model, lora) == len(stage.module.layers) == 14
    x, t = torch.randn(2, 8, 64, generator=seeded), torch.tensor([0.3, 0.7])
    tokens = torch.randn(2, 5, 32, generator=seeded)
    with torch.no_grad():
        plain = open_checkpoint(trained_model.path).load_backbone()(x, t, tokens)
        merged, trained = model(x, t, tokens), stage.module.model(x, t, tokens)
    torch.testing.assert_close(merged, trained, atol=1e-4, rtol=1e-4)
    assert (merged - plain).abs().max() > 1e-2


def test_only_the_adapters_are_trained(lora_job):
    stage, _ = prepare(lora_job, Distributed())
    learning = [n for n, p in stage.module.named_parameters() if p.requires_grad]
    assert learning
    assert all(name.startswith("adapters.") for name in learning)


def test_merging_with_the_negative_strength_restores_the_model(lora, trained_model):
    model = open_checkpoint(trained_model.path).load_backbone()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    merge_lora(model, lora, 0.7)
    merge_lora(model, lora, -0.7)
    for name, tensor in model.state_dict().items():
        torch.testing.assert_close(tensor, before[name], atol=1e-6, rtol=1e-5)


def test_a_lora_of_another_model_is_refused(lora, checkpoint):
    with pytest.raises(WeightsError, match="choose a LoRA that was trained on this model"):
        merge_lora(checkpoint.backbone, lora)


def test_a_file_without_a_lora_is_refused(trained_model):
    with pytest.raises(WeightsError, match="is not a LoRA"):
        read_lora(trained_model.path)


def test_a_pattern_selects_the_adapted_layers(trained_model):
    model = open_checkpoint(trained_model.path).load_backbone()
    names = [*adapted_layers(model, r"self_attn\.")]
    assert names == [
        f"transformer.layers.{n}.self_attn.{part}"
        for n in range(2)
        for part in ("to_qkv", "to_out")
    ]
    assert len(adapted_layers(model, LoraConfig().pattern)) == 14


@pytest.mark.parametrize(
    ("pattern", "said"), [("(", "not a regular"), ("unet", "matches no layer")]
)
def test_an_invalid_or_unmatched_pattern_is_an_error(trained_model, pattern, said):
    model = open_checkpoint(trained_model.path).load_backbone()
    with pytest.raises(SettingsError, match=said):
        adapted_layers(model, pattern)


def test_training_a_lora_without_a_model_is_refused(job, tmp_path):
    with pytest.raises(SettingsError, match="lora needs a model"):
        run_job(job("lora", tmp_path))
