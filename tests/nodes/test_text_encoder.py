"""T5-base from ComfyUI's own CLIPLoader in place of ours: the same tokens."""

import pytest
import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer

from audiox_core.checkpoint.layout import text_layout
from audiox_core.conditioners.text import TextConditioner
from audiox_core.config import TextConfig
from audiox_core.models.t5 import T5Encoder


@pytest.fixture(scope="module")
def t5_base(comfy, host, tmp_path_factory):
    """A T5-base of random weights where ComfyUI finds it, and the same one as the core runs it."""
    folder = tmp_path_factory.mktemp("text_encoders")
    generator, state = torch.Generator().manual_seed(0), {}
    for name, shape in text_layout(TextConfig()).items():
        is_norm = len(shape) == 1
        scale = 1.0 if name == "shared.weight" else shape[-1] ** -0.5
        noise = torch.randn(shape, generator=generator) * scale
        # rounded to half precision, in which ComfyUI holds it
        state[name] = torch.ones(shape) if is_norm else noise.half().float()
    save_file(state, folder / "t5_base.safetensors")
    comfy.folder_paths.add_model_folder_path("text_encoders", str(folder))
    encoder = T5Encoder(TextConfig()).eval()
    encoder.load_state_dict(state)
    texts = host.find_comfyui() / "comfy" / "text_encoders" / "t5_tokenizer"
    return TextConditioner(encoder, 128, Tokenizer.from_file(str(texts / "tokenizer.json")))


@pytest.mark.parametrize("prompt", ["", "rain", "waves on a beach, seagulls in the distance"])
def test_cliptextencode_gives_the_cores_tokens(node, t5_base, prompt):
    clip = node("CLIPLoader", clip_name="t5_base.safetensors", type="stable_audio")
    theirs = node("CLIPTextEncode", clip=clip, text=prompt)[0][0].float()
    with torch.no_grad():
        ours = t5_base.encode([prompt])
    assert theirs.shape == ours.shape == (1, 128, 768)
    assert (theirs - ours).abs().max() < 2e-3 * max(1.0, ours.abs().max().item() / 4)
