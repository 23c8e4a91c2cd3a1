"""A GPU with little memory, by ComfyUI's own accounting: everything runs, to the same numbers."""

import importlib
from types import SimpleNamespace

import pytest
import torch

ENCODERS = {"TextConditioner", "VideoConditioner", "Synchformer"}
TRANSFORMER, VAE = "AudioXModel", "InterruptibleOobleck"


@pytest.fixture(scope="module")
def generate(node, family):
    """Load a tiny model and make a sound of text, a picture and a sound: latents and waveform."""

    def run(variant, seconds=3.0, **loader):
        model, conditioners, vae = node(
            "AudioXLoadCheckpoint", file=family(variant).path.name, **loader
        )
        image = node("EmptyImage", width=64, height=64, batch_size=1, color=0x808080)
        audio = node("EmptyAudio", duration=2.0, sample_rate=44_100, channels=2)
        text = node("AudioXEncodeText", conditioners=conditioners, text="rain")
        seen = node("AudioXEncodeImage", conditioners=conditioners, image=image)
        heard = node("AudioXEncodeAudio", conditioners=conditioners, vae=vae, audio=audio)
        positive, negative = node(
            "AudioXMaskedConditioning", conditioners=conditioners, text=text, video=seen,
            audio=heard[0] if isinstance(heard, tuple) else heard,
        )  # fmt: skip
        latent = node("AudioXEmptyLatent", seconds=seconds)
        latent = node(
            "AudioXSampler", model=model, positive=positive, negative=negative,
            latent_image=latent, steps=2,
        )  # fmt: skip
        sound = node("AudioXDecode", vae=vae, latent=latent)["waveform"]
        return SimpleNamespace(
            latents=latent["samples"], sound=sound, model=model, conditioners=conditioners, vae=vae
        )

    return run


def sizes(made):
    """Bytes of the transformer, of the largest encoder, and of all encoders."""
    encoders = [patcher.model_size() for patcher in made.conditioners.patchers.values()]
    return made.model.model_size(), max(encoders), sum(encoders)


@pytest.mark.parametrize("state", ["NORMAL_VRAM", "LOW_VRAM", "NO_VRAM"])
@pytest.mark.parametrize("variant", ["audiox", "audiox-turbo"])
def test_everything_runs_on_a_gpu_with_little_memory(gpu, generate, variant, state):
    plain = generate(variant)
    transformer, largest, _ = sizes(plain)
    with gpu.SmallGpu(limit=max(1.2 * largest, 0.6 * transformer), state=state).here() as small:
        found = generate(variant)
    assert torch.equal(found.latents, plain.latents)
    assert torch.equal(found.sound, plain.sound)
    if state == "NO_VRAM":  # ComfyUI 0.3.64 loads at least 128 MB otherwise
        on_gpu = max(step.models.get(TRANSFORMER, 0) for step in small.log)
        assert on_gpu < 0.5 * transformer
    loaded = {kind for step in small.log for kind in step.asked}
    assert {TRANSFORMER, VAE, "VideoConditioner", "TextConditioner"} <= loaded
    if variant != "audiox":
        assert "Synchformer" in loaded


@pytest.mark.parametrize("variant", ["audiox", "audiox-turbo"])
def test_the_encoders_are_freed_before_the_transformer_is_loaded(gpu, generate, variant):
    plain = generate(variant)
    transformer, largest, encoders = sizes(plain)
    reserved = plain.model.model.memory_required([2, 64, 236])
    room = max(1.3 * (transformer + reserved), 1.3 * largest)
    with gpu.SmallGpu(limit=room).here() as small:
        generate(variant)
    steps = [step for step in small.log if TRANSFORMER in step.asked]
    assert steps
    for step in steps:
        assert step.models[TRANSFORMER] >= 0.99 * transformer
        assert sum(step.models.values()) <= room
        if encoders + transformer > room:
            assert not step.models.keys() >= ENCODERS
    with gpu.SmallGpu(limit=20 * room).here() as large:  # where there is room, nothing is moved
        generate(variant)
    assert any(ENCODERS & step.models.keys() for step in large.log if TRANSFORMER in step.asked)


def test_a_vae_on_the_cpu_takes_nothing_of_the_gpu(gpu, generate):
    with gpu.SmallGpu(limit=1 << 30, cpu_vae=True).here() as small:
        generate("audiox")
    assert any(VAE in step.asked for step in small.log)
    assert not any(VAE in step.models for step in small.log)


@pytest.mark.parametrize("dtype", ["float16", "float8_scaled"])
def test_smaller_weights_take_less_of_the_gpu(gpu, generate, dtype):
    loaded = {}
    for name in ("float32", dtype):
        with gpu.SmallGpu(limit=1 << 30).here() as small:
            generate("audiox-turbo", weight_dtype=name)
        loaded[name] = max(step.models.get(TRANSFORMER, 0) for step in small.log)
    assert loaded[dtype] < 0.55 * loaded["float32"]  # small layers stay as they are


def test_a_long_sound_keeps_no_more_conditions_than_it_reserves(gpu, generate, pack, monkeypatch):
    cache = importlib.import_module(f"{pack.__name__}.audiox_core.pipeline.run_cache").RunCache
    kept, clear = [], cache.clear
    monkeypatch.setattr(
        cache,
        "clear",
        lambda self: (
            kept.append(max([s.size for s in self._slots.values()], default=0)) or clear(self)
        ),
    )
    with gpu.SmallGpu(limit=1 << 30).here() as small:
        made = generate("audiox-turbo", seconds=120.0)
    (step,) = [step for step in small.log if TRANSFORMER in step.asked]
    assert made.latents.shape[-1] > 2_000
    assert 0 < max(kept) <= step.reserved
    assert step.reserved < 1.2 * made.model.model.memory_required([2, 64, made.latents.shape[-1]])


def test_a_small_gpu_keeps_fewer_conditions(gpu, generate, pack, monkeypatch):
    memory = importlib.import_module(f"{pack.__name__}.nodes.bridge.memory")
    plain = generate("audiox-turbo", seconds=60.0)
    with gpu.SmallGpu(limit=40 << 20).here():
        assert memory.cache_limit() == 5 << 20
        small = generate("audiox-turbo", seconds=60.0)
    assert torch.equal(small.latents, plain.latents)
