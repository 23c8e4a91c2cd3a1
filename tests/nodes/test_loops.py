"""Loops in ComfyUI: their latents through its samplers, its latent nodes and its VAE nodes."""

import importlib
from types import SimpleNamespace

import pytest
import torch

HOP = 2_048


@pytest.fixture(scope="module")
def loops(pack):
    """What makes, knows and takes off the latent of a loop."""
    loop, latent = (
        importlib.import_module(f"{pack.__name__}.nodes.bridge.{name}")
        for name in ("loop", "audio_latent")
    )
    return SimpleNamespace(is_loop=loop.is_loop, loop_latent=loop.loop_latent, plain=latent.plain)


@pytest.fixture
def loop(node):
    def make(seconds=3.0, batch=1):
        return node("AudioXEmptyLatent", seconds=seconds, batch_size=batch, loop=True)

    return make


@pytest.fixture
def sampled(node, loaded, branches):
    """The LATENT of KSampler, or of another sampler."""
    settings = {"seed": 3, "steps": 2, "cfg": 3.0, "sampler_name": "heun", "denoise": 1.0}

    def run(latent, sampler="KSampler", given=None, **changes):
        positive, negative = given or branches("rain")
        shared = {"model": loaded.model, "positive": positive, "negative": negative}
        if sampler != "SamplerCustomAdvanced":
            scheduler = {"scheduler": "exponential"}
            return node(
                sampler, latent_image=latent, **shared, **{**settings, **scheduler, **changes}
            )
        return node(
            "SamplerCustomAdvanced", latent_image=latent,
            noise=node("RandomNoise", noise_seed=settings["seed"]),
            guider=node("CFGGuider", **shared, cfg=settings["cfg"]),
            sampler=node("KSamplerSelect", sampler_name=settings["sampler_name"]),
            sigmas=node("BasicScheduler", model=loaded.model, scheduler="exponential",
                        steps=settings["steps"], denoise=1.0),
        )[0]  # fmt: skip

    return run


def test_a_loop_has_the_nearest_number_of_frames(loop):
    assert loop(3.0, 2)["samples"].shape == (2, 64, 65)
    assert loop(30.0)["samples"].shape == (1, 64, 646)


@pytest.mark.parametrize("sampler", ["AudioXSampler", "SamplerCustomAdvanced"])
def test_every_sampler_makes_the_same_loop(loop, loops, sampled, sampler):
    latent = loop()
    first, second = sampled(latent)["samples"], sampled(latent, sampler)["samples"]
    assert loops.is_loop(first)
    assert loops.is_loop(second)
    assert torch.equal(loops.plain(first), loops.plain(second))
    other = {**latent, "samples": loops.plain(latent["samples"])}
    assert not torch.equal(loops.plain(first), sampled(other)["samples"])


def test_the_denoised_output_of_a_loop_is_a_loop(node, loaded, branches, loop, loops):
    positive, negative = branches("rain")
    output, denoised = node(
        "SamplerCustomAdvanced", latent_image=loop(), noise=node("RandomNoise", noise_seed=3),
        guider=node("CFGGuider", model=loaded.model, positive=positive, negative=negative, cfg=3.0),
        sampler=node("KSamplerSelect", sampler_name="euler"),
        sigmas=node("BasicScheduler", model=loaded.model, scheduler="exponential", steps=2,
                    denoise=1.0),
    )  # fmt: skip
    made = denoised["samples"]
    assert loops.is_loop(made)
    torch.testing.assert_close(
        loops.plain(made), loops.plain(output["samples"]), rtol=1e-3, atol=1e-3
    )


def test_shifted_noise_is_a_shifted_loop(loop, loops, loaded, branches, monkeypatch):
    """Three windows at equal distances: where a loop begins does not matter."""
    sample = importlib.import_module("comfy.sample")
    positive, negative = branches("rain")
    latent = loop(26.008)["samples"]
    assert latent.shape[-1] == 3 * 186 + 2
    latent = loops.loop_latent(loops.plain(latent)[..., : 3 * 186])
    noise = torch.randn(latent.shape, generator=torch.Generator().manual_seed(0))

    def made(noise):
        with torch.inference_mode():
            return loops.plain(
                sample.sample(
                    loaded.model, noise, 2, 3.0, "heun", "exponential", positive, negative, latent,
                    seed=0, disable_pbar=True,
                )
            )  # fmt: skip

    plain, shifted = made(noise), made(noise.roll(186, dims=-1))
    # rounding grows where a trained model decides
    assert (shifted - plain.roll(186, dims=-1)).norm() < 1e-3 * plain.norm()
    assert (shifted - plain).norm() > 0.1 * plain.norm()


@pytest.mark.parametrize(
    ("name", "settings", "stays"),
    [
        ("LatentFromBatch", {"batch_index": 1, "length": 1}, True),
        ("RepeatLatentBatch", {"amount": 2}, True),
        ("LatentMultiply", {"multiplier": 0.5}, True),
        ("LatentCut", {"dim": "x", "index": 10, "amount": 20}, False),
    ],
)
def test_latent_nodes_pass_a_loop_on(comfy, node, loop, loops, sampled, name, settings, stays):
    if name not in comfy.nodes.NODE_CLASS_MAPPINGS:
        pytest.skip(f"this ComfyUI has no {name}")
    made = node(name, samples=sampled(loop(3.0, 2)), **settings)
    assert loops.is_loop(made["samples"]) == stays
    again = sampled(made, denoise=0.5)
    assert loops.is_loop(again["samples"]) == stays


def test_a_loop_is_decoded_to_its_exact_length_without_a_border(node, loaded, loop, loops):
    draw = torch.Generator().manual_seed(0)
    samples = torch.randn(1, 64, 65, generator=draw)

    def decoded(samples, **settings):
        latent = {**loop(3.0), "samples": loops.loop_latent(samples)}
        return node("AudioXDecode", vae=loaded.vae, latent=latent, **settings)["waveform"]

    assert decoded(samples).shape == (1, 2, 132_300)
    whole, later = (decoded(x, trim=False) for x in (samples, samples.roll(20, dims=-1)))
    assert whole.shape == (1, 2, 65 * HOP)
    torch.testing.assert_close(later, whole.roll(20 * HOP, dims=-1), rtol=1e-3, atol=1e-4)


def test_vae_decode_audio_wraps_around_too(node, loaded, loop, loops):
    samples = torch.randn(1, 64, 65, generator=torch.Generator().manual_seed(0))
    latents = [{**loop(3.0), "samples": kind(samples)} for kind in (loops.loop_latent, loops.plain)]
    looped, plain = (
        node("VAEDecodeAudio", vae=loaded.vae, samples=latent)["waveform"] for latent in latents
    )
    own = node("AudioXDecode", vae=loaded.vae, latent=latents[0], trim=False)["waveform"]
    scale = (looped * own).sum() / own.square().sum()  # VAE Decode Audio lowers loud audio
    torch.testing.assert_close(looped, scale * own, rtol=1e-3, atol=1e-4)
    assert (looped - plain)[..., :HOP].abs().max() > 0.01 * plain.std()


def test_prompts_over_time_pass_into_one_another_at_the_end_of_a_loop(
    node, loaded, loop, loops, sampled
):
    lines = "0-4: a bell\n4-8: rain"
    text = node("AudioXPromptTimeline", conditioners=loaded.conditioners, lines=lines)
    given = node("AudioXMaskedConditioning", conditioners=loaded.conditioners, text=text)
    made = loops.plain(sampled(loop(8.0), given=given, steps=1)["samples"])
    (tokens, facts), negative = given[0][0], given[1]
    bell = [[tokens, {key: value for key, value in facts.items() if key != "audiox_span"}]]
    alone = (bell, negative)
    only = loops.plain(sampled(loop(8.0), given=alone, steps=1)["samples"])
    difference = (made - only).abs().amax(dim=1)[0]
    assert difference[10:75].max() < 1e-2 * difference[95:160].max()
    assert difference[0] > 10 * difference[10:75].max()  # the fade has begun before the end


def test_a_loop_of_a_video_is_an_error_that_says_what_to_use(node, loaded, loop, sampled, pack):
    error = importlib.import_module(f"{pack.__name__}.audiox_core.errors").SettingsError
    shared = {"conditioners": loaded.conditioners}
    video, _ = node("AudioXEncodeVideo", images=torch.rand(40, 24, 32, 3), fps=4.0, **shared)
    given = node("AudioXMaskedConditioning", video=video, **shared)
    with pytest.raises(error, match="turn off loop in AudioX Empty Latent"):
        sampled(loop(10.0), given=given)
    still = node("AudioXEncodeImage", image=torch.rand(1, 24, 32, 3), **shared)
    given = node("AudioXMaskedConditioning", video=still, **shared)
    assert sampled(loop(10.0), given=given)["samples"].isfinite().all()


@pytest.mark.parametrize("seconds", [0.5, 1.9])
def test_a_loop_that_is_too_short_is_refused(loop, pack, seconds):
    error = importlib.import_module(f"{pack.__name__}.audiox_core.errors").SettingsError
    with pytest.raises(error, match="The length of a loop"):
        loop(seconds)
