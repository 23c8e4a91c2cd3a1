"""ComfyUI samples our MODEL: with its own nodes and with ours, alike and as the core does."""

import importlib

import pytest
import torch

from audiox_core import open_checkpoint
from audiox_core.conditioners.assemble import Conditioning
from audiox_core.config import LatentConfig, SamplingConfig
from audiox_core.diffusion.noise import initial_noise, step_noise
from audiox_core.diffusion.samplers import SOLVERS
from audiox_core.diffusion.schedules import polyexponential
from audiox_core.windows import plan

STEPS = 3
WIDTH = 96  # of the embedded model's condition tokens
# the adaptive ones choose their own steps; ComfyUI's lms ends in the clean estimate, ours and the
# reference's takes its last step like any other
SAME = [name for name in SOLVERS if name not in ("dpm_adaptive", "dpm_fast", "lms")]
WINDOWS = {1: 10.0, 3: 28.0}
DETERMINISTIC = ("euler", "heun", "dpmpp_2m", "lms", "ipndm", "uni_pc", "res_multistep")


@pytest.fixture(scope="session")
def bridge(pack):
    return importlib.import_module(f"{pack.__name__}.nodes.bridge.sampling")


@pytest.fixture
def run(node, loaded):
    """Sample with our node and custom numbers."""

    def make(positive, negative, latent, **settings):
        settings = {"steps": STEPS, "sampler_name": "dpmpp_2m", "cfg": 7.0, **settings}
        return node("AudioXSampler", model=loaded.model, positive=positive, negative=negative,
                    latent_image=latent, **settings)  # fmt: skip

    return make


@pytest.fixture
def native(node, loaded):
    """Sample with ComfyUI's KSampler."""

    def make(positive, negative, latent, **settings):
        settings = {"seed": 0, "steps": STEPS, "cfg": 7.0, "sampler_name": "dpmpp_2m", **settings}
        settings = {"scheduler": "exponential", "denoise": 1.0, **settings}
        settings = {"model": loaded.model, **settings}
        return node("KSampler", positive=positive, negative=negative, latent_image=latent,
                    **settings)  # fmt: skip

    return make


@pytest.fixture
def windows(pack, loaded):
    """CONDITIONING of random tokens for so many windows."""
    conditioning = importlib.import_module(f"{pack.__name__}.nodes.bridge.conditioning")

    def make(count, seed=0):
        generator = torch.Generator().manual_seed(seed)
        positive = torch.randn(1, count * 471, WIDTH, generator=generator)
        core = Conditioning(positive, torch.zeros_like(positive), count)
        return conditioning.from_core(core, loaded.conditioners.config)

    return make


def empty(node, seconds=10.0, batch=1):
    return node("AudioXEmptyLatent", seconds=seconds, batch_size=batch)


@pytest.mark.parametrize("sampler", DETERMINISTIC)
def test_audiox_sampler_gives_the_same_latent_as_ksampler(node, branches, run, native, sampler):
    positive, negative = branches()
    latent = empty(node, batch=3)
    settings = {"sampler_name": sampler, "scheduler": "karras", "seed": 5}
    ours = run(positive, negative, latent, **settings)["samples"]
    assert torch.equal(ours, native(positive, negative, latent, **settings)["samples"])


def test_the_exponential_schedule_is_the_checkpoints_own(node, branches, run):
    positive, negative = branches()
    first, second = (
        run(positive, negative, empty(node), scheduler=name)["samples"]
        for name in ("model default", "exponential")
    )
    torch.testing.assert_close(first, second, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    "sampler", ["dpmpp_3m_sde", "dpmpp_2s_ancestral", "lcm", "euler_ancestral"]
)
def test_with_comfyuis_noise_the_steps_are_ksamplers(
    node, loaded, branches, bridge, native, sampler
):
    positive, negative = branches()
    latent = empty(node, batch=2)
    sampling = SamplingConfig(steps=STEPS, sampler=sampler)
    with torch.inference_mode():
        sigmas = bridge.sigmas_of(loaded.model, sampling, "exponential", 1.0)
        ours = bridge.sample(loaded.model, positive, negative, latent, seed=0, sampling=sampling,
                             sigmas=sigmas, own_noise=False)  # fmt: skip
    theirs = native(positive, negative, latent, sampler_name=sampler)
    assert torch.equal(ours["samples"], theirs["samples"])


def test_a_take_of_a_batch_can_be_made_again_alone(node, pack, branches, run):
    positive, negative = branches()
    latent = empty(node, batch=2)
    wrong = []
    for sampler in importlib.import_module(f"{pack.__name__}.nodes.bridge.schema").SAMPLERS:
        settings = {"sampler_name": sampler, "seed": 3, "cfg": 1.0, "steps": 4}
        batch = run(positive, negative, latent, **settings)["samples"]
        one = node("LatentFromBatch", samples=latent, batch_index=1, length=1)
        alone = run(positive, negative, one, **settings)["samples"]
        missed = batch[1:] - alone  # rounding grows at single places where a trained model decides
        if missed.norm() > 2e-5 * alone.norm() or missed.abs().max() > 1e-3 * alone.std():
            wrong.append(sampler)
    assert not wrong


@pytest.mark.parametrize("sampler", ["euler", "dpmpp_2m"])
def test_a_take_can_be_made_again_in_ksampler(node, branches, native, sampler):
    positive, negative = branches()
    latent = empty(node, batch=3)
    batch = native(positive, negative, latent, sampler_name=sampler)["samples"]
    one = node("LatentFromBatch", samples=latent, batch_index=2, length=1)
    alone = native(positive, negative, one, sampler_name=sampler)["samples"]
    torch.testing.assert_close(batch[2:], alone, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("rescale", [0.0, 0.7])
@pytest.mark.parametrize("sampler", SAME)
def test_the_core_samples_the_same_latent(node, windows, run, core_sample, sampler, rescale):
    positive, negative = windows(1)
    latent = empty(node)
    settings = {"sampler_name": sampler, "steps": 16, "cfg": 4.0, "cfg_rescale": rescale, "seed": 9}
    ours = run(positive, negative, latent, **settings)["samples"]
    file = open_checkpoint()
    noise = initial_noise(tuple(latent["samples"].shape), 9)
    used = file.config.sampling
    sigmas = polyexponential(16, used.sigma_min, used.sigma_max)
    sampling = SamplingConfig(steps=16, cfg=4.0, cfg_rescale=rescale, sampler=sampler)

    def core(nudge):
        conditioning = Conditioning(positive[0][0], negative[0][0], 1)
        start = noise * (1 + nudge) * (1 + sigmas[0] ** 2).sqrt()
        return core_sample(file, conditioning, start, sigmas, sampling, step_noise(noise, 9))

    # rounding grows where a trained model decides: no more than a nudge of a millionth does
    expected, nudged = core(0), core(1e-6)
    missed = (ours - expected).norm()
    assert missed < max(1e-4 * expected.norm(), 2 * (nudged - expected).norm())
    assert missed < 2e-3 * expected.norm()


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("cfg", [1.0, 7.0])
@pytest.mark.parametrize("batch", [1, 3])
def test_native_conditioning_nodes_work_on_audiox_conditionings(
    node, windows, native, batch, cfg, count
):
    (first, negative), (second, _) = windows(count, 0), windows(count, 1)
    latent = empty(node, WINDOWS[count], batch)

    def made(positive, other=negative):
        return native(positive, other, latent, cfg=cfg, steps=2)["samples"]

    zero = node("ConditioningZeroOut", conditioning=first)
    average = node("ConditioningAverage", conditioning_to=first, conditioning_from=second,
                   conditioning_to_strength=0.5)  # fmt: skip
    half = [[(first[0][0] + second[0][0]) / 2, first[0][1]]]
    assert torch.equal(made(zero), made(negative))
    assert torch.equal(made(first, zero), made(first))
    assert torch.equal(made(average), made(half))
    assert not torch.equal(made(average), made(first))
    both = node("ConditioningCombine", conditioning_1=first, conditioning_2=second)
    torch.testing.assert_close(made(first + first), made(first), rtol=1e-3, atol=1e-3)
    assert not torch.equal(made(both), made(first))
    early = node("ConditioningSetTimestepRange", conditioning=first, start=0.0, end=0.0)
    assert torch.equal(made(first), made(node("ConditioningSetTimestepRange", conditioning=first,
                                              start=0.0, end=1.0)))  # fmt: skip
    assert not torch.equal(made(early + second), made(both))


def test_both_branches_of_guidance_share_one_forward(node, loaded, windows, native, monkeypatch):
    positive, negative = windows(1)
    seen, dit = [], loaded.model.model.diffusion_model
    hook = dit.register_forward_pre_hook(lambda _, args: seen.append(len(args[0])))
    try:
        native(positive, negative, empty(node, batch=2), steps=2, sampler_name="euler")
    finally:
        hook.remove()
    assert seen == [4, 4]


def test_conditionings_and_latents_that_do_not_fit_are_refused(node, loaded, windows, native):
    positive, negative = windows(3)
    other, _ = windows(1)
    long, short = empty(node, WINDOWS[3]), empty(node)
    raw = [[torch.randn(1, 77, 768), {}]]
    concat = node("ConditioningConcat", conditioning_to=positive, conditioning_from=positive)
    uneven = node("ConditioningAverage", conditioning_to=positive, conditioning_from=other,
                  conditioning_to_strength=0.5)  # fmt: skip
    cut = node("ConditioningAverage", conditioning_to=other, conditioning_from=positive,
               conditioning_to_strength=0.5)  # fmt: skip
    area = [[positive[0][0], {**positive[0][1], "area": (100, 0)}]]
    cases = [
        (positive, short, "connect seconds of AudioX Encode Video"),
        (raw, short, "connect AudioX Masked Conditioning"),
        (concat, long, "ConditioningConcat"),
        (uneven, long, "different lengths"),
        (cut, short, "different lengths"),
        (area, long, "cut the latent"),
        (positive, {"samples": torch.zeros(1, 4, 8, 8)}, None),
    ]
    for conditioning, latent, message in cases:
        with pytest.raises(Exception, match=message):
            native(conditioning, negative if latent is long else conditioning, latent, steps=1)


def test_samplercustomadvanced_gives_the_same_latent(node, loaded, branches, run):
    positive, negative = branches()
    latent = empty(node, 45.0, 2)
    guider = node("CFGGuider", model=loaded.model, positive=positive, negative=negative, cfg=3.0)
    sigmas = node("AudioXScheduler", model=loaded.model, steps=STEPS,
                  sigma_min=0.03, sigma_max=100.0)  # fmt: skip
    made = node(
        "SamplerCustomAdvanced", noise=node("RandomNoise", noise_seed=4), guider=guider,
        sampler=node("KSamplerSelect", sampler_name="heun"), sigmas=sigmas, latent_image=latent,
    )[0]  # fmt: skip
    ours = run(positive, negative, latent, sampler_name="heun", seed=4, cfg=3.0)
    assert torch.equal(made["samples"], ours["samples"])
    assert made["audiox_seconds"] == 45


def test_a_native_empty_latent_of_ten_seconds_runs(node, loaded, branches, native):
    positive, negative = branches()
    latent = node("EmptyLatentAudio", seconds=10.0, batch_size=1)
    made = native(positive, negative, latent)
    audio = node("VAEDecodeAudio", vae=loaded.vae, samples=made)
    assert audio["waveform"].shape == (1, 2, 216 * 2048)
    ours = node("AudioXDecode", vae=loaded.vae, latent=made)
    assert ours["waveform"].shape == (1, 2, 216 * 2048)


def test_native_vae_nodes_give_the_same_result_as_the_core(node, loaded):
    vae = open_checkpoint().load_vae()
    sound = 0.3 * torch.randn(1, 2, 236 * 2048, generator=torch.Generator().manual_seed(0))
    encoded = node(
        "VAEEncodeAudio", vae=loaded.vae, audio={"waveform": sound, "sample_rate": 44_100}
    )
    with torch.no_grad():
        mean = vae.encode(sound).mean
        torch.testing.assert_close(encoded["samples"], mean, rtol=1e-3, atol=1e-3)
        whole = vae.decode(mean)
    decoded = loaded.vae.decode(mean).movedim(-1, 1)
    assert (decoded - whole).abs().max() < 1e-3 * whole.std()  # in pieces, rounding apart


def test_a_variation_stays_close_to_its_source(node, loaded, branches, run):
    positive, negative = branches()
    sound = {"waveform": 0.3 * torch.randn(1, 1, 500_000), "sample_rate": 44_100}
    latent = node("VAEEncodeAudio", vae=loaded.vae, audio=sound)

    def distance(denoise):
        made = run(positive, negative, latent, denoise=denoise, cfg=1.0, steps=6)["samples"]
        return (made - latent["samples"]).std()

    assert distance(0.1) < distance(0.5) < distance(1.0)


def test_the_latent_of_these_tests_has_three_windows():
    assert plan(LatentConfig(), WINDOWS[3]).windows == 3


def test_context_windows_are_refused_with_an_error(node, loaded, windows, native):
    model = node("ContextWindowsManual", model=loaded.model, context_length=96, context_overlap=24,
                 dim=2)  # fmt: skip
    positive, negative = windows(1)
    with pytest.raises(Exception, match="handles any length"):
        native(positive, negative, empty(node), model=model, steps=1)


def test_a_long_sound_is_repaired_in_ksampler(node, loaded, branches, native):
    sound = 0.15 * torch.randn(1, 2, 30 * 44_100, generator=torch.Generator().manual_seed(0))
    latent, seconds, _ = node("AudioXInpaintLatent", vae=loaded.vae, regenerate="20-22",
                           audio={"waveform": sound, "sample_rate": 44_100},
                           extend_before=15.0)  # fmt: skip
    assert seconds == 45
    positive, negative = branches()
    made = native(positive, negative, latent, steps=2)
    rate = 44_100 / 2048
    changed = (made["samples"] != latent["samples"]).any(dim=1)[0].nonzero().flatten() / rate
    inside = (changed < 15.2) | ((changed > 34.9) & (changed < 37.1)) | (changed > 44.9)
    assert inside.all()
    out = node("AudioXDecode", vae=loaded.vae, latent=made)["waveform"]
    crossfade = 4_410  # in the first tenth of a second of the sound
    kept = sound[0, :, crossfade : 20 * 44_100]
    assert torch.equal(out[0, :, 15 * 44_100 + crossfade : 35 * 44_100], kept)


def test_a_mean_with_a_text_is_refused(node, loaded, branches, native):
    positive, null = branches()
    _, negative = branches(negative="bells")
    text = node("AudioXEncodeText", conditioners=loaded.conditioners, text="dog")

    def mean(to, other):
        return node("ConditioningAverage", conditioning_to=to, conditioning_from=other,
                    conditioning_to_strength=0.5)  # fmt: skip

    for assembled in (positive, null, negative):
        with pytest.raises(Exception, match="was averaged with another kind"):
            native(mean(assembled, text), null, empty(node), steps=1)
    with pytest.raises(Exception, match="averaged with one that is"):
        branches(negative_text=mean(text, positive))
    for assembled in (positive, null, negative):  # these are what they seem
        native(mean(positive, assembled), mean(null, assembled), empty(node), steps=1)


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("ModelSamplingContinuousEDM", {"sampling": "v_prediction", "sigma_min": 0.3}),
        ("ModelSamplingContinuousEDM", {"sampling": "eps", "sigma_min": 2.0}),
        ("ModelSamplingDiscrete", {"sampling": "v_prediction", "zsnr": False}),
        ("ModelSamplingAuraFlow", {"shift": 3.0}),
        ("ModelSamplingContinuousV", {"sampling": "v_prediction", "sigma_min": 0.03}),
    ],
)
def test_model_sampling_nodes_may_change_only_the_range_of_the_noise(
    node, loaded, branches, native, name, settings
):
    settings = {"sigma_max": 50.0, **settings} if "sigma_min" in settings else settings
    model = node(name, model=loaded.model, **settings)
    positive, negative = branches()
    if name == "ModelSamplingContinuousV":
        assert native(positive, negative, empty(node), model=model)["samples"].isfinite().all()
        return
    with pytest.raises(Exception, match="noise parametrization"):
        native(positive, negative, empty(node), model=model, steps=1)


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("SetArea", {"width": 64, "height": 64, "x": 0, "y": 0}, "cut the latent"),
        ("SetAreaPercentage", {"width": 0.5, "height": 0.5, "x": 0.0, "y": 0.0}, "cut the latent"),
        ("SetMask", {"mask": torch.ones(1, 64, 64), "set_cond_area": "default"}, "remove it"),
    ],
)
def test_image_areas_and_masks_are_refused_with_an_error(
    node, windows, native, name, settings, message
):
    positive, negative = windows(1)
    area = node(f"Conditioning{name}", conditioning=positive, strength=1.0, **settings)
    with pytest.raises(Exception, match=message):
        native(area, negative, empty(node), steps=1)


def test_a_conditioning_is_weighted_by_its_strength(node, windows, native):
    (first, negative), (second, _) = windows(1, 0), windows(1, 1)
    heavy = node("ConditioningSetAreaStrength", conditioning=first, strength=10.0)
    made, even, alone = (
        native(positive, negative, empty(node), steps=2)["samples"]
        for positive in (heavy + second, first + second, first)
    )
    assert (made - alone).std() < 0.5 * (even - alone).std()


def test_an_empty_negative_prompt_is_none(node, loaded, branches):
    without, with_empty, with_text = (
        branches(**given)[1][0][0]
        for given in (
            {},
            {"negative_text": node("AudioXEncodeText", conditioners=loaded.conditioners, text=" ")},
            {
                "negative_text": node(
                    "AudioXEncodeText", conditioners=loaded.conditioners, text="rain"
                )
            },
        )
    )
    assert torch.equal(with_empty, without)
    assert not torch.equal(with_text, without)
