"""The same graph with any model of the family, held to the core; what a run keeps, how long."""

import importlib
import math
from types import SimpleNamespace

import pytest
import torch

from audiox_core import open_checkpoint
from audiox_core.conditioners.assemble import Conditioning
from audiox_core.diffusion.noise import initial_noise, step_noise
from audiox_core.diffusion.objectives import OBJECTIVES
from audiox_core.variants import AMBIGUOUS_VARIANTS, VARIANTS

SECONDS = 25.0  # two windows and a bit
ALL = pytest.mark.parametrize("variant", VARIANTS)


def described(node, parts, seconds=SECONDS, negative=False, seed=0):
    """Text, moving pictures and a sound prompt -> positive and negative CONDITIONING."""
    draw = torch.Generator().manual_seed(seed)
    images = torch.rand(int(4 * seconds), 24, 32, 3, generator=draw)
    sound = {"waveform": 0.1 * torch.randn(1, 2, 44_100 * 4, generator=draw), "sample_rate": 44_100}
    shared = {"conditioners": parts.conditioners}
    video, covered = node("AudioXEncodeVideo", images=images, fps=4.0, **shared)
    assert covered == pytest.approx(seconds)
    given = {
        "text": node("AudioXEncodeText", text="rain", **shared),
        "video": video,
        "audio": node("AudioXEncodeAudio", vae=parts.vae, audio=sound, **shared),
    }
    if negative:
        given["negative_text"] = node("AudioXEncodeText", text="music", **shared)
    return node("AudioXMaskedConditioning", **given, **shared)


def run(node, parts, branches, seconds=SECONDS, batch=1, **settings):
    latent = node("AudioXEmptyLatent", seconds=seconds, batch_size=batch)
    settings = {"steps": 2, "cfg": 3.0, "sampler_name": "euler", **settings}
    positive, negative = branches
    return node("AudioXSampler", model=parts.model, positive=positive, negative=negative,
                latent_image=latent, **settings)  # fmt: skip


@ALL
@pytest.mark.parametrize("negative", [False, True])
# ComfyUI takes a guided estimate as its difference to x, which at sigma 500 costs digits
@pytest.mark.parametrize(("rescale", "tolerance"), [(0.0, 1e-4), (0.5, 1e-3)])
def test_the_graph_samples_what_the_core_samples(
    node, family, core_sample, variant, negative, rescale, tolerance
):
    parts = family(variant)
    # of text alone: noise as a picture lets the random weights of v1 magnify the last digit
    shared = {"conditioners": parts.conditioners}
    texts = {"text": node("AudioXEncodeText", text="rain", **shared)}
    if negative:
        texts["negative_text"] = node("AudioXEncodeText", text="music", **shared)
    branches = node("AudioXMaskedConditioning", **texts, **shared)
    # one that does not take the difference of two numbers of 2000, as ComfyUI's euler does
    solver = "euler" if VARIANTS[variant].objective == "rectified_flow" else "dpmpp_2m_sde"
    settings = {"cfg_rescale": rescale, "sampler_name": solver}
    found = run(node, parts, branches, **settings)["samples"]
    file, config = open_checkpoint(parts.path), VARIANTS[variant]
    sampling = config.sampling.__class__(steps=2, cfg=3.0, cfg_rescale=rescale, sampler=solver)
    objective = OBJECTIVES[config.objective]
    sigmas = objective.schedule(2, 0.3, 500.0)
    noise = initial_noise(found.shape, 0)
    start = objective.noised_fully(torch.zeros_like(noise), noise, sigmas[0].item())
    windows = branches[0][0][1]["audiox"]["windows"]
    conditioning = Conditioning(branches[0][0][0], branches[1][0][0], windows)
    expected = core_sample(file, conditioning, start, sigmas, sampling, step_noise(start, 0))
    assert (found - expected).abs().max() < tolerance * expected.std()


@ALL
def test_ksampler_gives_the_same_latent_as_audiox_sampler(node, family, variant):
    parts = family(variant)
    positive, negative = described(node, parts, 10.0)
    latent = node("AudioXEmptyLatent", seconds=10.0, batch_size=2)
    sockets = {"model": parts.model, "positive": positive, "negative": negative,
               "latent_image": latent, "seed": 3, "steps": 3, "cfg": 2.0,
               "sampler_name": "euler", "scheduler": "simple", "denoise": 1.0}  # fmt: skip
    native = node("KSampler", **sockets)["samples"]
    ours = node("AudioXSampler", **sockets)["samples"]
    assert torch.equal(native, ours)


@pytest.mark.parametrize("steps", [1, 2, 4, 5, 8])
def test_turbo_is_exact_in_ksampler(node, family, turbo, steps):
    parts, seed = family("audiox-turbo"), 11
    positive, negative = described(node, parts, 10.0)
    found = node(
        "KSampler", model=parts.model, positive=positive, negative=negative, seed=seed,
        latent_image=node("AudioXEmptyLatent", seconds=10.0), steps=steps, cfg=1.0,
        sampler_name="lcm", scheduler="simple", denoise=1.0,
    )["samples"]  # fmt: skip
    k_diffusion = importlib.import_module("comfy.k_diffusion.sampling")
    draw = k_diffusion.default_noise_sampler(found, seed=seed)
    expected = turbo(parts, positive, steps, seed, draw)
    assert (found - expected).abs().max() < 1e-4 * expected.std()


@pytest.mark.parametrize("steps", [3, 4, 7])
def test_turbo_is_exact_at_any_count_in_our_sampler(node, family, turbo, steps):
    parts, seed = family("audiox-turbo"), 5
    positive, negative = described(node, parts, 10.0)
    settings = {"seed": seed, "steps": steps, "cfg": 1.0, "sampler_name": "lcm"}
    found = run(node, parts, (positive, negative), 10.0, **settings)["samples"]
    expected = turbo(parts, positive, steps, seed, step_noise(found, seed))
    assert (found - expected).abs().max() < 1e-4 * expected.std()
    sigmas = node("AudioXScheduler", model=parts.model, steps=steps)
    torch.testing.assert_close(sigmas, torch.linspace(1, 0, steps + 1))


@pytest.mark.parametrize("steps", [3, 4])
def test_turbo_is_exact_with_our_sigmas_in_a_native_sampler(node, family, turbo, steps):
    parts, seed = family("audiox-turbo"), 5
    positive, negative = described(node, parts, 10.0)
    guider = node("CFGGuider", model=parts.model, positive=positive, negative=negative, cfg=1.0)
    sigmas = node("AudioXScheduler", model=parts.model, steps=steps)
    found = node(
        "SamplerCustomAdvanced", noise=node("RandomNoise", noise_seed=seed), guider=guider,
        sampler=node("KSamplerSelect", sampler_name="lcm"), sigmas=sigmas,
        latent_image=node("AudioXEmptyLatent", seconds=10.0),
    )[0]["samples"]  # fmt: skip
    k_diffusion = importlib.import_module("comfy.k_diffusion.sampling")
    expected = turbo(
        parts, positive, steps, seed, k_diffusion.default_noise_sampler(found, seed=seed)
    )
    assert (found - expected).abs().max() < 1e-4 * expected.std()


@pytest.fixture
def turbo(core_sample):
    """Turbo's re-noising by the core's solver."""

    def run(parts, positive, steps, seed, draw):
        file, tokens = open_checkpoint(parts.path), positive[0][0]
        conditioning = Conditioning(tokens, torch.zeros_like(tokens), 1)
        sigmas = OBJECTIVES[file.config.objective].schedule(steps, 0.0, 1.0)
        start = initial_noise((1, 64, 236), seed)
        return core_sample(file, conditioning, start, sigmas, file.config.sampling, draw)

    return run


@ALL
def test_defaults_are_the_variants_own(node, family, variant):
    parts = family(variant)
    sampling = parts.model.model.audiox.sampling
    sigmas = node("AudioXScheduler", model=parts.model)
    assert len(sigmas) == sampling.steps + 1
    assert sigmas[0] == pytest.approx(sampling.sigma_max)
    latent = run(node, parts, described(node, parts, 10.0), 10.0, steps=1, cfg=7.0)
    assert latent["samples"].isfinite().all()
    distilled = variant == "audiox-turbo"
    assert ("distilled for cfg 1" in node.text) == distilled
    assert ("1 step is few" in node.text) == (not distilled)


@ALL
def test_the_run_cache_does_not_change_the_result_and_is_cleared(node, family, pack, variant):
    cache = importlib.import_module(f"{pack.__name__}.audiox_core.pipeline.run_cache")
    parts = family(variant)
    branches = described(node, parts, 10.0, negative=True)
    kept, prepared = [], []
    module = parts.model.model.diffusion_model
    original, clear = module.prepare, cache.RunCache.clear
    module.prepare = lambda *a: prepared.append(1) or original(*a)
    cache.RunCache.clear = lambda self: kept.append(self) or clear(self)
    try:
        cached = run(node, parts, branches, 10.0, steps=5, batch=2)["samples"]
        once = len(prepared)
        plain = parts.model.clone()
        plain.wrappers.clear()
        without = SimpleNamespace(model=plain)
        repeated = run(node, without, branches, 10.0, steps=5, batch=2)["samples"]
    finally:
        del module.prepare
        cache.RunCache.clear = clear
    assert torch.equal(cached, repeated)
    assert (once, len(prepared) - once) == (1, 5)
    assert [item._slots for item in kept] == [{}]
    assert "audiox_run" not in parts.model.model_options["transformer_options"]


@pytest.mark.parametrize("variant", ["audiox-maf", "audiox-turbo"])
def test_an_interrupted_run_leaves_nothing_behind(node, family, pack, comfy, variant):
    cache = importlib.import_module(f"{pack.__name__}.audiox_core.pipeline.run_cache")
    utils = importlib.import_module("comfy.utils")
    management = importlib.import_module("comfy.model_management")
    parts, kept = family(variant), []
    branches = described(node, parts, 10.0)
    clear = cache.RunCache.clear
    cache.RunCache.clear = lambda self: kept.append(self) or clear(self)

    def stop(value, *_others, **_named):
        if value >= 2:
            raise management.InterruptProcessingException

    utils.set_progress_bar_global_hook(stop)
    try:
        with pytest.raises(management.InterruptProcessingException):
            run(node, parts, branches, 10.0, steps=4)
    finally:
        utils.set_progress_bar_global_hook(None)
        cache.RunCache.clear = clear
    assert [item._slots for item in kept] == [{}]
    assert run(node, parts, branches, 10.0)["samples"].isfinite().all()


def test_twenty_windows_keep_the_memory_of_one_group(node, family, pack):
    cache = importlib.import_module(f"{pack.__name__}.audiox_core.pipeline.run_cache")
    parts, seconds, sizes = family("audiox-turbo"), 180.0, []
    get = cache.RunCache.get

    def watched(self, key, device, prepare):
        prepared = get(self, key, device, prepare)
        sizes.append(sum(layer.nbytes for layer in prepared.layers))
        return prepared

    text = node("AudioXEncodeText", conditioners=parts.conditioners, text="rain")
    still = node("AudioXMaskedConditioning", conditioners=parts.conditioners, text=text)
    facts = still[0][0][1]
    moving = (
        still[0][0][0].repeat(1, 20, 1) * torch.linspace(1, 2, 20).repeat_interleave(384)[:, None]
    )
    twenty = [[moving, {**facts, "audiox": {**facts["audiox"], "windows": 20}}]]
    twenty[0][1].pop("pooled_output")
    cache.RunCache.get = watched
    try:
        run(node, parts, (twenty, twenty), seconds, steps=2, cfg=1.0)
    finally:
        cache.RunCache.get = get
    dit = parts.model.model.audiox.dit
    one = dit.depth * dit.positions * 6 * dit.width * 4
    at_once = 2 if next(parts.model.model.parameters()).device.type == "cpu" else 8
    assert max(sizes) <= at_once * one
    assert len(sizes) == 2 * math.ceil(20 / at_once)


@pytest.mark.parametrize("variant", ["audiox", "audiox-maf-mmdit"])
def test_weights_that_change_during_a_run_are_used(node, family, comfy, variant):
    """A LoRA hook whose strength jumps after half of the run: nothing prepared may outlive it."""
    parts = family(variant)
    positive, negative = described(node, parts, 10.0)
    hooks = importlib.import_module("comfy.hooks")
    weight = "transformer.layers.0.adaLN_modulation.1.weight"
    if variant == "audiox":
        weight = "transformer.layers.0.cross_attn.to_kv.weight"
    like = dict(parts.model.model.diffusion_model.named_parameters())[weight]
    draw = torch.Generator().manual_seed(0)
    path = weight.removesuffix(".weight")
    lora = {
        f"diffusion_model.{path}.lora_up.weight": torch.randn(len(like), 4, generator=draw),
        f"diffusion_model.{path}.lora_down.weight": torch.randn(4, like.shape[1], generator=draw),
    }

    def sampled(strengths):
        group = hooks.create_hook_lora(lora, 1.0, 0.0)
        frames = hooks.HookKeyframeGroup()
        for start, strength in strengths:
            frames.add(hooks.HookKeyframe(strength=strength, start_percent=start))
        group.set_keyframes_on_hooks(frames)
        hooked = [[tokens, {**facts, "hooks": group}] for tokens, facts in positive]
        return run(node, parts, (hooked, negative), 10.0, steps=4)["samples"]

    off, on = sampled([(0.0, 0.0)]), sampled([(0.0, 1.0)])
    switched = sampled([(0.0, 0.0), (0.5, 1.0)])
    spread = on.std()
    for other in (off, on):
        assert (switched - other).abs().max() > 1e-3 * spread
    plain = run(node, parts, (positive, negative), 10.0, steps=4)["samples"]
    assert (plain - off).abs().mean() < 1e-3 * spread  # in one batch, not in two


@pytest.mark.parametrize("variant", AMBIGUOUS_VARIANTS)
def test_a_shorter_latent_than_a_window_is_refused_by_mmdit(node, family, variant):
    parts = family(variant)
    positive, negative = described(node, parts, 10.0)
    short = node("EmptyLatentAudio", seconds=10.0, batch_size=1)
    with pytest.raises(Exception, match="AudioX Empty Latent"):
        node("AudioXSampler", model=parts.model, positive=positive, negative=negative,
             latent_image=short, steps=1)  # fmt: skip


def test_conditioners_of_another_variant_are_refused(node, family):
    turbo_parts, base_parts = family("audiox-turbo"), family("audiox-base")
    branches = described(node, base_parts, 10.0)
    with pytest.raises(Exception, match="load both from one checkpoint"):
        run(node, turbo_parts, branches, 10.0)


def test_a_base_file_declared_as_turbo_is_refused(node, family):
    family("audiox-base")
    with pytest.raises(Exception, match=r"variant is audiox-turbo.*fetch audiox-turbo"):
        node("AudioXLoadModel", file="tiny-audiox-base.safetensors", variant="audiox-turbo")
