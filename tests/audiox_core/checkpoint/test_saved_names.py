"""Files of ComfyUI's save nodes have the names of a release."""

import torch
from safetensors.torch import save_file

from audiox_core.checkpoint.saved_names import CONFIG, TOKENIZER, is_saved, rename, text_tensor
from audiox_core.checkpoint.weight_file import open_weights


def test_only_a_file_with_our_config_is_renamed():
    assert not is_saved(["model.diffusion_model.input_blocks.0.0.weight"])
    assert is_saved([CONFIG, "model.diffusion_model.project_in.weight"])


def test_each_name_becomes_that_of_a_release():
    found = rename(
        [
            CONFIG,
            "first_stage_model.audiox.config",
            "model.diffusion_model.transformer.layers.0.pre_norm.weight",
            "model.diffusion_model.transformer.layers.0.ff.ff.2.weight",
            "first_stage_model.oobleck.decoder.layers.0.weight",
            "oobleck.decoder.layers.1.bias",
            "conditioner.conditioners.video_prompt.proj.weight",
            "edm_vpred.sigma_max",
            "cond_stage_model.t5base.transformer.shared.weight",
        ]
    )
    assert list(found.names) == [
        "model.model.transformer.layers.0.pre_norm.gamma",
        "model.model.transformer.layers.0.ff.ff.2.weight",
        "pretransform.model.decoder.layers.0.weight",
        "decoder.layers.1.bias",
        "conditioner.conditioners.video_prompt.proj.weight",
    ]
    assert set(found.others) == {
        "edm_vpred.sigma_max", "cond_stage_model.t5base.transformer.shared.weight",
    }  # fmt: skip


def test_texts_become_the_header(tmp_path):
    path = tmp_path / "saved.safetensors"
    weight = torch.arange(4.0)
    texts = {CONFIG: text_tensor('{"a": "é"}'), TOKENIZER: text_tensor("words")}
    save_file({**texts, "model.diffusion_model.b": weight}, path)
    file = open_weights(path)
    assert (file.header["audiox"], file.header["tokenizer"]) == ('{"a": "é"}', "words")
    assert set(file.tensors) == {"model.model.b"}
    assert torch.equal(file.copy("model.model.b"), weight)
    assert torch.equal(file.read(["model.model.b"])["model.model.b"], weight)
