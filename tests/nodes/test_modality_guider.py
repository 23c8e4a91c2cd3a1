"""AudioX Guider: a guidance scale for each modality, for SamplerCustomAdvanced."""

import importlib
from types import SimpleNamespace

import pytest
import torch

STEPS = 2


@pytest.fixture(scope="module")
def inputs(node, loaded):
    """Text, features of an image and of an audio prompt."""
    shared = {"conditioners": loaded.conditioners}
    draw = torch.Generator().manual_seed(0)
    image = torch.rand(1, 32, 32, 3, generator=draw)
    sound = {"waveform": 0.1 * torch.randn(1, 2, 441_000, generator=draw), "sample_rate": 44_100}
    return {
        "text": node("AudioXEncodeText", text="a bell", **shared),
        "video": node("AudioXEncodeImage", image=image, **shared),
        "audio": node("AudioXEncodeAudio", vae=loaded.vae, audio=sound, **shared),
    }


@pytest.fixture
def guider(node, loaded):
    def make(parts=loaded, model=None, **given):
        model = parts.model if model is None else model
        return node("AudioXGuider", model=model, conditioners=parts.conditioners, **given)

    return make


@pytest.fixture
def sampled(node, loaded):
    """The latent of SamplerCustomAdvanced with a guider."""

    def run(guider, seconds=10.0, batch=1, latent=None, parts=loaded, steps=STEPS):
        latent = latent or node("AudioXEmptyLatent", seconds=seconds, batch_size=batch)
        return node(
            "SamplerCustomAdvanced", noise=node("RandomNoise", noise_seed=4), guider=guider,
            sampler=node("KSamplerSelect", sampler_name="heun"), latent_image=latent,
            sigmas=node("AudioXScheduler", model=parts.model, steps=steps),
        )[0]["samples"]  # fmt: skip

    return run


@pytest.fixture
def native(node, loaded):
    """ComfyUI's CFGGuider with what AudioX Masked Conditioning makes of the same inputs."""

    def make(cfg, model=loaded.model, **given):
        positive, negative = node(
            "AudioXMaskedConditioning", conditioners=loaded.conditioners, **given
        )
        return node("CFGGuider", model=model, positive=positive, negative=negative, cfg=cfg)

    return make


@pytest.fixture
def rows(loaded):
    """Rows of the transformer's batches, while a function runs."""

    def count(call):
        module, found = loaded.model.model.diffusion_model.transformer, []
        hook = module.register_forward_pre_hook(lambda _, args: found.append(len(args[0])))
        try:
            call()
        finally:
            hook.remove()
        return found

    return count


def scales(text, video=-1.0, audio=-1.0):
    return {"text_guidance": text, "video_guidance": video, "audio_guidance": audio}


@pytest.mark.parametrize(("cfg", "seconds"), [(0.0, 10.0), (1.0, 10.0), (3.0, 25.0)])
def test_equal_scales_are_cfgguider_bit_for_bit(inputs, guider, sampled, native, cfg, seconds):
    found = sampled(guider(**inputs, **scales(cfg, cfg, cfg)), seconds=seconds, batch=2)
    assert torch.equal(found, sampled(native(cfg, **inputs), seconds=seconds, batch=2))


def test_a_scale_of_minus_1_is_the_models_own_cfg(inputs, guider, sampled, native, loaded):
    own = loaded.model.model.audiox.sampling.cfg
    assert torch.equal(sampled(guider(**inputs)), sampled(native(own, **inputs)))


def test_an_audio_scale_of_0_is_the_run_without_the_audio_prompt(inputs, guider, sampled, native):
    found = sampled(guider(**inputs, **scales(4.0, 4.0, 0.0)))
    without = {name: inputs[name] for name in ("text", "video")}
    assert torch.equal(found, sampled(native(4.0, **without)))
    assert not torch.equal(found, sampled(native(4.0, **inputs)))


def test_a_scale_of_a_socket_that_is_not_connected_is_not_used(inputs, guider, sampled, native):
    text = {"text": inputs["text"]}
    found = sampled(guider(**text, **scales(4.0, 0.5, 9.0)))
    assert torch.equal(found, sampled(native(4.0, **text)))


@pytest.mark.parametrize("text", [{}, {"text": True, "text_strength": 0.0}])
def test_without_a_text_its_scale_is_not_used(node, inputs, guider, sampled, native, text):
    given = {**text, "video": inputs["video"]}
    if "text" in text:
        given["text"] = inputs["text"]
    made = guider(**given, **scales(9.0, 4.0))
    assert node.text == "video 4: ordinary guidance"
    assert torch.equal(sampled(made, steps=1), sampled(native(4.0, **given), steps=1))


@pytest.mark.parametrize("seconds", [10.0, 25.0])
def test_the_estimate_is_the_weighted_sum_of_the_differences(
    node, inputs, guider, native, loaded, seconds
):
    latent = node("AudioXEmptyLatent", seconds=seconds, batch_size=2)["samples"]
    x = torch.randn(latent.shape, generator=torch.Generator().manual_seed(0))
    sigmas, found = torch.tensor([2.0, 1.0]), []

    def estimate(guider):
        def once(model, x, sigmas, extra_args, **_):
            found.append(model(x, sigmas[:1].expand(len(x)), **extra_args))
            return x

        samplers = importlib.import_module("comfy.samplers")
        with torch.inference_mode():
            guider.sample(x, latent, samplers.KSAMPLER(once), sigmas, seed=0, disable_pbar=True)
        return found.pop()

    parts = [{"text": inputs["text"]}, {"video": inputs["video"]}, {"audio": inputs["audio"]}]
    t, tv, tva = (
        estimate(native(1.0, **dict(kv for part in parts[:n] for kv in part.items())))
        for n in (1, 2, 3)
    )
    u = estimate(native(0.0, **inputs))
    expected = u + 1.0 * (t - u) + 5.0 * (tv - t) + 2.0 * (tva - tv)
    made = estimate(guider(**inputs, **scales(1.0, 5.0, 2.0)))
    torch.testing.assert_close(made, expected, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(
    ("weights", "count"),
    [((4.0, 4.0, 4.0), 2), ((1.0, 2.0, 3.0), 4), ((2.0, 2.0, 3.0), 3), ((1.0, 3.0, 0.0), 3)],
)
def test_every_different_branch_is_computed_once_in_one_forward(
    inputs, guider, sampled, rows, weights, count
):
    made = guider(**inputs, **scales(*weights))
    assert rows(lambda: sampled(made, batch=2, steps=1)) == [2 * count]


def test_the_node_shows_the_scales(node, inputs, guider):
    guider(**inputs, **scales(1.0, 5.0, 2.0))
    assert node.text == "text 1, video 5, audio 2: 4 predictions a step"
    guider(text=inputs["text"], **scales(4.0))
    assert node.text == "text 4: ordinary guidance"


class TestPatches:
    """What other nodes attach to the MODEL acts on unequal scales, too."""

    UNEQUAL = scales(1.0, 5.0, 2.0)

    def test_our_rescale(self, inputs, guider, sampled):
        off, on = (sampled(guider(**inputs, **self.UNEQUAL, cfg_rescale=r)) for r in (0.0, 0.9))
        assert on.std() < off.std()

    @pytest.mark.parametrize("kind", ["post_cfg", "pre_cfg"])
    def test_functions_before_and_after_guidance(self, inputs, guider, sampled, loaded, kind):
        seen, model = [], loaded.model.clone()

        def post(args):
            seen.append((args["cond_scale"], args["cond_denoised"] - args["uncond_denoised"]))
            return torch.zeros_like(args["denoised"])

        def pre(args):
            cond, uncond = args["conds_out"]
            seen.append((args["cond_scale"], cond - uncond))
            return [torch.zeros_like(cond), torch.zeros_like(uncond)]

        if kind == "post_cfg":
            model.set_model_sampler_post_cfg_function(post, disable_cfg1_optimization=False)
        else:
            model.set_model_sampler_pre_cfg_function(pre)
        made = sampled(guider(model=model, **inputs, **self.UNEQUAL), steps=1)
        assert [scale for scale, _ in seen] == [5.0]
        assert seen[0][1].abs().max() > 0.01
        assert made.abs().max() < 1e-3 * seen[0][1].abs().max()

    def test_apg(self, node, inputs, guider, sampled, loaded):
        model = node("APG", model=loaded.model, eta=1.0, norm_threshold=1.0, momentum=0.0)
        plain = sampled(guider(**inputs, **self.UNEQUAL))
        assert not torch.equal(sampled(guider(model=model, **inputs, **self.UNEQUAL)), plain)


def test_prompts_over_time_and_a_negative_text(node, loaded, inputs, guider, sampled):
    shared = {"conditioners": loaded.conditioners}
    lines = node("AudioXPromptTimeline", lines="0-12: a bell\n12-25: rain", **shared)
    negative = node("AudioXEncodeText", text="wind", **shared)
    given = {"video": inputs["video"], "negative_text": negative}
    made = sampled(guider(text=lines, **given, **scales(2.0, 6.0)), seconds=25.0, steps=1)
    bell = sampled(guider(text=inputs["text"], **given, **scales(2.0, 6.0)), seconds=25.0, steps=1)
    early, late = slice(0, 240), slice(280, None)
    torch.testing.assert_close(made[..., early], bell[..., early], rtol=1e-3, atol=1e-3)
    assert (made - bell)[..., late].abs().max() > 0.05


def test_a_noise_mask_keeps_the_rest(node, loaded, inputs, guider, sampled):
    sound = {"waveform": 0.1 * torch.randn(1, 2, 220_500), "sample_rate": 44_100}
    latent, *_ = node("AudioXInpaintLatent", vae=loaded.vae, audio=sound, regenerate="1-2")
    made = sampled(guider(**inputs, **scales(1.0, 5.0, 2.0)), latent=latent)
    torch.testing.assert_close(made[..., :20], latent["samples"][..., :20], rtol=0, atol=1e-4)
    assert (made - latent["samples"])[..., 24:40].abs().max() > 0.1


@pytest.mark.parametrize("variant", ["audiox-maf", "audiox-base"])
def test_the_other_models_take_unequal_scales(node, family, guider, sampled, variant):
    parts = family(variant)
    shared = {"conditioners": parts.conditioners}
    text = node("AudioXEncodeText", text="rain", **shared)
    image = node("AudioXEncodeImage", image=torch.rand(1, 32, 32, 3), **shared)
    made = guider(parts, text=text, video=image, **scales(2.0, 5.0))
    assert sampled(made, parts=parts).isfinite().all()


def test_turbo_has_no_guidance(node, family, guider, pack):
    error = importlib.import_module(f"{pack.__name__}.audiox_core.errors").SettingsError
    parts = family("audiox-turbo")
    text = node("AudioXEncodeText", text="rain", conditioners=parts.conditioners)
    with pytest.raises(error, match=r"distilled to run without guidance \(cfg 1\).*AudioX Sampler"):
        guider(parts, text=text)


def test_another_model_is_refused(node, inputs, loaded, pack):
    error = importlib.import_module(f"{pack.__name__}.audiox_core.errors").SettingsError
    other = SimpleNamespace(model=SimpleNamespace())
    with pytest.raises(error, match="not an AudioX model"):
        node("AudioXGuider", model=other, conditioners=loaded.conditioners, text=inputs["text"])
