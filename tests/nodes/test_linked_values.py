"""Values that a link brings past the limits of a widget: a finite result, or an error of ours."""

import importlib
import math
from fractions import Fraction
from typing import Any

import pytest
import torch

BEYOND = [math.nan, math.inf, -math.inf, -1e18, 1e18, -1.0, 0.0]
NODES = [
    "AudioXEncodeVideo",
    "AudioXEncodeAudio",
    "AudioXPromptTimeline",
    "AudioXTimeRange",
    "AudioXMaskedConditioning",
    "AudioXEmptyLatent",
    "AudioXInpaintLatent",
    "AudioXScheduler",
    "AudioXSampler",
    "AudioXGuider",
    "AudioXDecode",
    "AudioXTakes",
    "AudioXPreview",
    "AudioXLayer",
    "AudioXMix",
    "AudioXSoundtrack",
]


@pytest.fixture(scope="module")
def connected(node, loaded) -> dict[str, dict[str, Any]]:
    """What is connected to each node; its widgets are left alone."""
    api = importlib.import_module("comfy_api.latest")
    conditioners, vae = loaded.conditioners, loaded.vae
    text = node("AudioXEncodeText", conditioners=conditioners, text="rain")
    positive, negative = node("AudioXMaskedConditioning", conditioners=conditioners, text=text)
    latent = node("AudioXEmptyLatent", seconds=1.0)
    audio = {"waveform": torch.full((1, 2, 44_100), 0.1), "sample_rate": 44_100}
    images = torch.full((8, 32, 32, 3), 0.5)
    parts = api.Types.VideoComponents(images=images, frame_rate=Fraction(8))
    return {
        "AudioXEncodeVideo": {"conditioners": conditioners, "images": images, "fps": 8.0},
        "AudioXEncodeAudio": {"conditioners": conditioners, "vae": vae, "audio": audio},
        "AudioXPromptTimeline": {"conditioners": conditioners},
        "AudioXTimeRange": {"conditioning": text},
        "AudioXMaskedConditioning": {"conditioners": conditioners, "text": text},
        "AudioXEmptyLatent": {},
        "AudioXInpaintLatent": {"vae": vae, "audio": audio},
        "AudioXScheduler": {"model": loaded.model},
        "AudioXSampler": {
            "model": loaded.model,
            "positive": positive,
            "negative": negative,
            "latent_image": latent,
            "steps": 1,
        },
        "AudioXGuider": {"model": loaded.model, "conditioners": conditioners, "text": text},
        "AudioXDecode": {"vae": vae, "latent": latent},
        "AudioXTakes": {"audio": audio},
        "AudioXPreview": {"audio": audio},
        "AudioXLayer": {"audio": audio},
        "AudioXMix": {"layers": node("AudioXLayer", audio=audio)},
        "AudioXSoundtrack": {
            "video": api.InputImpl.VideoFromComponents(parts),
            "audio": audio,
            "mix_original": True,
        },
    }


def is_finite(value: Any) -> bool:
    if isinstance(value, torch.Tensor):
        return bool(value.isfinite().all())
    if isinstance(value, dict):
        return all(map(is_finite, value.values()))
    if isinstance(value, list | tuple):
        return all(map(is_finite, value))
    return not isinstance(value, float) or math.isfinite(value)


def test_every_node_with_numbers_is_among_the_tested(node):
    def has_numbers(kind) -> bool:
        return any(s.get_io_type() in {"FLOAT", "INT"} for s in kind.GET_SCHEMA().inputs)

    assert sorted(name for name, kind in node.classes.items() if has_numbers(kind)) == sorted(NODES)


@pytest.mark.parametrize("name", NODES)
def test_a_value_beyond_the_widget_is_used_or_refused(node, pack, connected, name):
    error = importlib.import_module(f"{pack.__name__}.audiox_core.errors").AudioXError
    tried = 0
    for socket in node.classes[name].GET_SCHEMA().inputs:
        kind = {"FLOAT": float, "INT": int}.get(socket.get_io_type())
        if kind is None:
            continue
        for value in BEYOND if kind is float else filter(math.isfinite, BEYOND):
            tried += 1
            try:
                result = node(name, **{**connected[name], socket.id: kind(value)})
            except error:
                continue
            assert is_finite(result), (socket.id, value)
    assert tried >= 4
