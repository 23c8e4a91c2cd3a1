"""What is let go and when: Stop in the midst, /free, a new run after either."""

import gc
import importlib

import pytest
import torch


@pytest.fixture
def stoppable():
    """ComfyUI's progress bar looks for Stop, as in its server; the flag is down at the end."""
    import comfy.model_management as mm
    import comfy.utils

    comfy.utils.set_progress_bar_global_hook(
        lambda *_, **__: mm.throw_exception_if_processing_interrupted()
    )
    yield mm
    comfy.utils.set_progress_bar_global_hook(None)
    mm.interrupt_current_processing(False)


def result(made):
    """The tensor in what a node gives."""
    made = made[0] if isinstance(made, tuple) else made
    if isinstance(made, dict):
        return made.get("samples", made.get("waveform"))
    return made.tokens


def convs(module) -> list:
    """The convolutions of the VAE; a piece passes each once."""
    return [layer for layer in module.modules() if isinstance(layer, torch.nn.Conv1d)]


@pytest.fixture
def work(node, loaded, branches):
    """Nodes that take long, with the module that does it and how many of its runs may follow."""
    draw = torch.Generator().manual_seed(0)
    latent = {"samples": torch.randn(3, 64, 300, generator=draw)}
    sound = {"waveform": torch.rand(1, 2, 30 * 44_100, generator=draw), "sample_rate": 44_100}
    frames = {"images": torch.rand(120, 32, 32, 3, generator=draw), "fps": 4.0}
    encode = {"conditioners": loaded.conditioners}
    positive, negative = branches()
    oobleck = loaded.vae.first_stage_model.oobleck
    run = {"model": loaded.model, "positive": positive, "negative": negative}
    run["latent_image"] = node("AudioXEmptyLatent", seconds=45.0)
    vae = {"vae": loaded.vae}
    return {
        "step": ("AudioXSampler", {**run, "steps": 9}, loaded.model.model.diffusion_model),
        "decoded piece": ("AudioXDecode", {**vae, "latent": latent}, convs(oobleck.decoder)[-1]),
        "encoded piece": ("AudioXEncodeAudio", {**encode, **vae, "audio": sound,
                                                "length": 30.0}, convs(oobleck.encoder)[0]),
        "window of a video": ("AudioXEncodeVideo", {**encode, **frames},
                              loaded.conditioners.conditioners.video),
    }  # fmt: skip


@pytest.mark.parametrize("kind", ["step", "decoded piece", "encoded piece", "window of a video"])
def test_an_interrupt_stops_after_one_unit_of_work(node, work, stoppable, kind):
    name, inputs, module = work[kind]
    runs = []
    hook = module.register_forward_hook(lambda *_: runs.append(1))
    expected = result(node(name, **inputs))
    assert len(runs) > 2
    hook.remove()
    runs.clear()

    def stop(*_):
        runs.append(1)
        if len(runs) == 2:
            stoppable.interrupt_current_processing()

    hook = module.register_forward_hook(stop)
    try:
        with pytest.raises(stoppable.InterruptProcessingException):
            node(name, **inputs)
    finally:
        hook.remove()
    assert len(runs) == 2
    assert torch.equal(result(node(name, **inputs)), expected)


def prompt(file: str) -> dict:
    """Text, a picture and a sound become a sound, as an API prompt."""

    def made(kind: str, **inputs):
        return {"class_type": kind, "inputs": inputs}

    return {
        "load": made("AudioXLoadCheckpoint", file=file, weight_dtype="default"),
        "image": made("EmptyImage", width=64, height=64, batch_size=1, color=0),
        "audio": made("EmptyAudio", duration=2.0, sample_rate=44_100, channels=2),
        "text": made("AudioXEncodeText", conditioners=["load", 1], text="rain", task="none"),
        "see": made("AudioXEncodeImage", conditioners=["load", 1], image=["image", 0]),
        "hear": made("AudioXEncodeAudio", conditioners=["load", 1], vae=["load", 2],
                     audio=["audio", 0], start=0.0, length=10.0, time_mask=""),
        "mask": made("AudioXMaskedConditioning", conditioners=["load", 1], text=["text", 0],
                     video=["see", 0], audio=["hear", 0], text_strength=1.0, video_strength=1.0,
                     audio_strength=1.0),
        "latent": made("AudioXEmptyLatent", seconds=25.0, batch_size=1),
        "sample": made("AudioXSampler", model=["load", 0], positive=["mask", 0],
                       negative=["mask", 1], latent_image=["latent", 0], seed=0,
                       steps=2, cfg=3.0, cfg_rescale=0.5, sampler_name="dpmpp_3m_sde",
                       scheduler="model default", denoise=1.0),
        "decode": made("AudioXDecode", vae=["load", 2], latent=["sample", 0], level="keep",
                       lufs=-16.0, trim=True, paste_back=True),
        "save": made("PreviewAudio", audio=["decode", 0]),
    }  # fmt: skip


def tensors() -> int:
    """How many tensors there are."""
    gc.collect()
    return sum(issubclass(type(thing), torch.Tensor) for thing in gc.get_objects())


def ours() -> int:
    """How many of our objects that hold weights there are."""
    kinds = ("NativeDiT", "NativeMMDiT", "InterruptibleOobleck", "NativeConditioners", "RunCache")
    return sum(type(thing).__name__ in kinds for thing in gc.get_objects())


@pytest.mark.parametrize("variant", ["embedded", "audiox-turbo"])
def test_unloading_models_frees_every_tensor(execute, family, variant):
    import comfy.model_management as mm

    file = variant if variant == "embedded" else family(variant).path.name
    mm.unload_all_models()
    before = ours()
    execute(prompt(file))  # whatever ComfyUI makes once
    counts = []
    for _ in range(2):
        execute.executor.reset()  # as the server does for /free
        mm.unload_all_models()
        mm.cleanup_models_gc()
        counts.append(tensors())
        if len(counts) == 1:
            execute(prompt(file))
            assert tensors() > counts[0] + 200
    assert counts[0] == counts[1]
    assert ours() == before


def test_comfyui_can_ask_for_the_size_of_what_it_caches(node, loaded, clips):
    kinds = importlib.import_module("comfy_api.latest").InputImpl
    video = kinds.VideoFromFile(str(clips / "bikes.mp4"))
    features, _ = node("AudioXEncodeVideo", conditioners=loaded.conditioners, video=video)
    assert features._comfy_cache_tensors() == [features.tokens]
    held = sum(tensor.nbytes for tensor in loaded.conditioners._comfy_cache_tensors())
    assert held > 1_000_000
    audio = {"waveform": torch.zeros(1, 2, 44_100), "sample_rate": 44_100}
    layers = node("AudioXLayer", audio=audio, gain_db=0.0)
    (layer,) = layers[0] if isinstance(layers[0], tuple) else layers
    assert [tensor.shape for tensor in layer._comfy_cache_tensors()] == [(2, 44_100)]
