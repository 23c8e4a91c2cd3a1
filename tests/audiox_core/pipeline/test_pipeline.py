"""The whole pipeline on the embedded checkpoint and real clips."""

import logging
from copy import deepcopy
from dataclasses import replace
from itertools import pairwise

import av
import pytest
import torch

from audiox_core import Pipeline, Request, StartLatent, generate, load_checkpoint, sample
from audiox_core.diffusion.guidance import guide
from audiox_core.diffusion.noise import initial_noise, step_noise
from audiox_core.diffusion.objectives import v_denoiser
from audiox_core.diffusion.samplers import SOLVERS, solve
from audiox_core.diffusion.schedules import polyexponential
from audiox_core.errors import AudioXError, SettingsError
from audiox_core.media.audio import read_audio, write_audio
from audiox_core.media.video import probe_video

QUICK = {"steps": 2, "seed": 3}


@pytest.fixture(scope="session")
def bunny(clips):
    return clips / "bigbuckbunny.mp4"


@pytest.fixture(scope="session")
def bikes(clips):
    return clips / "bikes.mp4"


def test_a_seed_repeats_sample_for_sample_and_another_differs(pipeline):
    first, again, other = (
        pipeline.generate(Request(prompt="rain", steps=3, seed=seed)).waveform for seed in (1, 1, 2)
    )
    assert torch.equal(first, again)
    assert (first - other).abs().max() > 0.01


def test_takes_differ_and_the_first_one_is_that_of_a_single_run(pipeline):
    request = Request(prompt="rain", seconds=2.0, **QUICK)
    single = pipeline.generate(request).waveform
    first, second, third = (t.waveform for t in pipeline.takes(replace(request, takes=3)))
    torch.testing.assert_close(first, single, atol=1e-4, rtol=0)
    assert (second - single).abs().max() > 0.01
    assert (third - second).abs().max() > 0.01
    with pytest.raises(SettingsError, match=r"use Pipeline\.takes"):
        pipeline.generate(replace(request, takes=3))


def test_takes_of_existing_audio_keep_what_is_kept(pipeline, tmp_path):
    known = 0.1 * torch.randn(2, 2 * 44_100, generator=torch.Generator().manual_seed(0))
    write_audio(tmp_path / "known.wav", known, 44_100)
    request = Request(init_audio=tmp_path / "known.wav", inpaint=((1.0, 1.5),), takes=2, **QUICK)
    first, second = (t.waveform for t in pipeline.takes(request))
    kept, made = slice(0, 40_000), slice(46_000, 64_000)
    assert torch.equal(first[:, kept], second[:, kept])
    assert (first[:, made] - second[:, made]).abs().max() > 1e-3


@pytest.mark.parametrize("sampler", SOLVERS)
def test_every_sampler_makes_finite_sound(pipeline, sampler):
    sound = pipeline.generate(Request(prompt="rain", sampler=sampler, steps=4, seed=0))
    assert sound.waveform.isfinite().all()
    assert sound.waveform.std() > 1e-3


def test_the_default_length_without_a_video_is_ten_seconds(pipeline):
    sound = pipeline.generate(Request(prompt="rain", **QUICK))
    assert sound.waveform.shape == (2, 441_000)
    assert sound.sample_rate == 44_100


@pytest.mark.parametrize("seconds", [0.1, 3.0, 8.0, 10.0, 10.95])
def test_the_audio_has_exactly_the_requested_number_of_samples(pipeline, seconds):
    sound = pipeline.generate(Request(prompt="rain", seconds=seconds, **QUICK))
    assert sound.waveform.shape[-1] == round(seconds * 44_100)


def test_audio_shorter_than_a_window_is_the_start_of_the_full_window(pipeline):
    short, long = (
        pipeline.generate(Request(prompt="rain", seconds=seconds, **QUICK)).waveform
        for seconds in (1.0, 10.0)
    )
    torch.testing.assert_close(short, long[:, :44_100], atol=5e-5, rtol=0)


def test_a_video_gets_a_sound_of_its_own_length(pipeline, bunny):
    sound = pipeline.generate(Request(video=bunny, **QUICK))
    assert sound.seconds == pytest.approx(probe_video(bunny).seconds, abs=1 / 44_100)


def test_each_input_changes_the_sound(pipeline, bunny, bikes, tmp_path):
    sound = pipeline.generate(Request(prompt="dog", seconds=2, **QUICK))
    sound.save(tmp_path / "prompt.wav")
    requests = [
        Request(prompt="rain"),
        Request(prompt="rain", negative="wind"),
        Request(prompt="rain", video=bunny),
        Request(prompt="rain", video=bikes),
        Request(prompt="rain", video=bunny, video_strength=0.5),
        Request(prompt="rain", video=bunny, hide={"video": ((0.0, 1.0),)}),
        Request(prompt="rain", audio=tmp_path / "prompt.wav"),
        Request(prompt="rain", audio=tmp_path / "prompt.wav", hide={"audio": ((0.0, 1.0),)}),
        Request(prompt="rain", cfg=1.0),
        Request(prompt="rain", cfg_rescale=0.7),
    ]
    sounds = [pipeline.generate(replace(r, seconds=1, **QUICK)).waveform for r in requests]
    for (one, first), (_, second) in pairwise(zip(requests, sounds, strict=True)):
        assert not torch.equal(first, second), one


def test_a_modality_of_strength_0_equals_an_absent_one(pipeline, bunny):
    without = pipeline.generate(Request(prompt="rain", seconds=1, **QUICK)).waveform
    weak = Request(prompt="rain", video=bunny, video_strength=0.0, seconds=1, **QUICK)
    assert torch.equal(pipeline.generate(weak).waveform, without)


def test_steps_are_reported_as_they_happen(pipeline):
    seen = []
    request = Request(prompt="rain", steps=5, seed=0)
    pipeline.generate(
        request, on_step=lambda step, x, denoised: seen.append((step, denoised.shape))
    )
    assert seen == [(step, (1, 64, 236)) for step in range(5)]


def test_an_image_stands_for_a_video(pipeline, bunny, tmp_path):
    path = tmp_path / "frame.png"
    with av.open(str(bunny)) as container:
        next(container.decode(video=0)).save(str(path))
    sound = pipeline.generate(Request(image=path, seconds=1, **QUICK)).waveform
    absent = Request(image=path, video_strength=0.0, seconds=1, **QUICK)
    plain = pipeline.generate(absent).waveform
    assert not torch.equal(sound, plain)


def test_generate_makes_a_soundtrack_in_one_call(checkpoint):
    request = Request(prompt="rain", seconds=1, **QUICK)
    sound = generate(request, checkpoint)
    assert torch.equal(sound.waveform, Pipeline(checkpoint).generate(request).waveform)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"seconds": 0.0}, "length is 0 s"),
        ({"seconds": -3.0}, "length is -3 s"),
        ({"seconds": 1e9}, "length is 1e\\+09 s"),
        ({"seconds": float("nan")}, "length is nan s"),
        ({"steps": 0}, "steps is 0"),
        ({"steps": 10**9}, "steps is 1000000000"),
        ({"cfg": float("inf")}, "cfg is inf"),
        ({"cfg_rescale": 2.0}, "cfg_rescale is 2"),
        ({"sampler": "magic"}, "Unknown sampler 'magic'"),
        ({"seed": -1}, "seed is -1"),
        ({"start": -1.0}, "start is -1"),
        ({"start": 2.0}, "pass a video, or leave start out"),
        ({"text_strength": 2.0}, "strength is 2"),
        ({"prompt": ""}, "has no input"),
        ({"prompt": " \n"}, "has no input"),
        ({"hide": {"video": ((0, 1),)}}, "no video to hide"),
        ({"hide": {"text": ((0, 1),)}}, "no text to hide"),
        ({"prompt": "x" * 10_000}, "10,000 characters"),
        ({"image": "a.png", "video": "b.mp4"}, "only one of them"),
    ],
)
def test_invalid_settings_raise_an_error_that_names_them(pipeline, settings, message):
    with pytest.raises(AudioXError, match=message) as caught:
        pipeline.generate(Request(**{"prompt": "rain", **settings}))
    assert "\n" not in str(caught.value)


def test_a_video_and_an_image_exclude_one_another(pipeline, bunny):
    with pytest.raises(SettingsError, match="only one of them"):
        pipeline.generate(Request(video=bunny, image=bunny, **QUICK))


def test_a_start_after_the_end_is_an_error(pipeline, bunny):
    with pytest.raises(SettingsError, match=r"5\.28 s long.*earlier start"):
        pipeline.generate(Request(video=bunny, start=6.0, **QUICK))


def test_an_overflow_in_the_model_raises_an_error_instead_of_audio(checkpoint):
    broken = replace(checkpoint, vae=scaled(checkpoint.vae, float("nan")))
    with pytest.raises(AudioXError, match="overflowed"):
        Pipeline(broken).generate(Request(prompt="rain", **QUICK))


def scaled(vae, gain):
    """A VAE that decodes to sound of another level."""
    copied = deepcopy(vae)
    copied.decoder.layers[-1].weight.data.mul_(gain)  # this layer has no bias
    return copied


def test_a_loud_sound_is_turned_down_and_a_soft_one_kept(checkpoint, caplog):
    def peak(gain):
        other = replace(checkpoint, vae=scaled(checkpoint.vae, gain))
        sound = Pipeline(other).generate(Request(prompt="rain", **QUICK))
        return sound.waveform.abs().max().item()

    plain = peak(1.0)
    assert plain < 1
    assert peak(0.1) == pytest.approx(0.1 * plain, rel=1e-4)
    with caplog.at_level(logging.INFO):
        assert peak(100.0) == pytest.approx(1.0)
    assert "scaled down" in caplog.text


def test_a_video_file_is_not_written_without_an_input_video(pipeline, tmp_path):
    sound = pipeline.generate(Request(prompt="rain", **QUICK))
    with pytest.raises(SettingsError, match="without a video"):
        sound.save(tmp_path / "sound.mp4")
    with pytest.raises(SettingsError, match=r"\.wav"):
        sound.save(tmp_path / "sound.aiff")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("cfg", [1.0, 7.0])
@pytest.mark.parametrize("negative", ["", "wind"])
def test_cached_conditions_give_the_same_latent_as_recomputed_ones(checkpoint, cfg, negative):
    pipeline = Pipeline(checkpoint)
    request = Request(prompt="rain", negative=negative, cfg=cfg, cfg_rescale=0.4, steps=3)
    sampling = pipeline.sampling(request)
    with torch.no_grad():
        conditioning = pipeline.conditioning(request, None, 10.0)
        start = StartLatent(torch.zeros(1, 64, 236))
        fast = sample(checkpoint, conditioning, start, sampling=sampling, seed=request.seed)
        plain = sample_plainly(checkpoint.backbone, conditioning[0][1], sampling, request.seed)
    assert (fast - plain).abs().max() < 2e-4 * plain.std()


def sample_plainly(model, conditioning, sampling, seed):
    """Sampling without shortcuts: all tokens in every forward, two forwards per step."""

    def predict(x, t):
        cond, uncond = model(x, t, conditioning.positive), model(x, t, conditioning.negative)
        return guide(cond, uncond, sampling.cfg, sampling.cfg_rescale if sampling.cfg != 1 else 0)

    noise = initial_noise((1, 64, 236), seed)
    sigmas = polyexponential(sampling.steps, sampling.sigma_min, sampling.sigma_max)
    start = noise * (1 + sigmas[0] ** 2).sqrt()
    return solve(
        sampling.sampler, v_denoiser(predict), start, sigmas, noise_sampler=step_noise(start, seed)
    )


def test_tokens_are_embedded_once_a_run(checkpoint, pipeline):
    calls = []
    layers = [
        checkpoint.backbone.to_cond_embed,
        checkpoint.backbone.transformer.layers[0].cross_attn.to_kv,
    ]
    hooks = [layer.register_forward_hook(lambda *_: calls.append(1)) for layer in layers]
    pipeline.generate(Request(prompt="rain", steps=5))
    for hook in hooks:
        hook.remove()
    assert len(calls) == len(layers)


@pytest.fixture
def known(tmp_path):
    """Two seconds of a rising tone."""
    times = torch.arange(2 * 44_100) / 44_100
    tone = 0.3 * (2 * torch.pi * (200 + 400 * times) * times).sin()
    write_audio(tmp_path / "known.wav", tone.expand(2, -1), 44_100)
    return tmp_path / "known.wav"


def test_less_denoising_stays_closer_to_the_init_audio(pipeline, known):
    base = Request(prompt="rain", init_audio=known, steps=4, seed=0)

    def distance(**change):
        request = replace(base, **change)
        sources = pipeline.sources(request)
        seconds = sources.seconds
        with torch.no_grad():
            start = pipeline.start_latent(request, sources.init_audio, seconds)
            out = sample(
                pipeline.checkpoint, pipeline.conditioning(request, sources.clip, seconds), start,
                sampling=pipeline.sampling(request),
            )  # fmt: skip
        return (out - start.samples).std().item()

    assert distance(denoise=0.1) < distance(denoise=0.4) < distance(denoise=1.0)
    assert distance(init_noise_level=0.5) < distance(init_noise_level=5.0)


def test_a_variation_has_the_length_of_its_sound(pipeline, known):
    sound = pipeline.generate(Request(prompt="rain", init_audio=known, steps=2))
    assert sound.waveform.shape == (2, 88_200)


def test_a_continuation_keeps_its_sound_and_takes_its_tail_as_prompt(pipeline, known):
    made = [
        pipeline.generate(Request(init_audio=known, extend=3.0, feather=0.5, steps=2, **prompt))
        for prompt in ({}, {"audio": known}, {"audio_strength": 0.0})
    ]
    sound = read_audio(known)
    for track in made:
        assert track.waveform.shape == (2, 5 * 44_100)
        assert torch.equal(track.waveform[:, :66_150], sound[:, :66_150])
        assert not torch.equal(track.waveform[:, 66_150:88_200], sound[:, 66_150:])
    assert torch.equal(made[0].waveform, made[1].waveform)  # the tail of two seconds is all of it
    assert not torch.equal(made[0].waveform, made[2].waveform)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"denoise": 0.5}, "pass init_audio"),
        ({"inpaint": ((0.0, 1.0),)}, "pass init_audio"),
        ({"init_audio": "known", "denoise": 0.5, "init_noise_level": 1.0}, "exclude each other"),
        ({"init_audio": "known", "denoise": 0.0}, "denoise is 0"),
        ({"init_audio": "known", "denoise": float("nan")}, "denoise is nan"),
        ({"init_audio": "known", "init_noise_level": 0.01}, "init_noise_level is 0.01"),
        ({"init_audio": "known", "inpaint": ((3.0, 4.0),)}, "regenerate starts at 3 s"),
        ({"image": "i.png", "hide": {"video": ((10, 11),)}}, "hide starts at 10 s, but the video"),
        ({"audio": "a.wav", "hide": {"audio": ((10, 11),)}}, "hide starts at 10 s, but the audio"),
    ],
)
def test_invalid_variations_raise_an_error_that_names_them(pipeline, known, settings, message):
    if "init_audio" in settings:
        settings = settings | {"init_audio": known}
    with pytest.raises(SettingsError, match=message):
        pipeline.generate(Request(prompt="rain", **settings))


@pytest.fixture
def half_by_default():
    """As another pack in the same process may leave it."""
    torch.set_default_dtype(torch.float16)
    yield
    torch.set_default_dtype(torch.float32)


HALF_REQUESTS = {
    "a variation": {"prompt": "rain", "init_audio": "known", "denoise": 0.5, "sampler": "dpm_fast"},
    "all inputs": {"video": "bikes", "audio": "known", "init_audio": "known",
                   "inpaint": ((0.5, 1.5),), "hide": {"video": ((0.0, 0.5),)}},
    "an image": {"image": "bikes", "seconds": 12.0, "negative": "music"},
}  # fmt: skip


@pytest.mark.parametrize("settings", HALF_REQUESTS.values(), ids=HALF_REQUESTS)
def test_a_default_dtype_of_half_precision_changes_nothing(
    pipeline, known, clips, settings, request
):
    files = {"known": known, "bikes": clips / "bikes.mp4"}
    settings = {k: files.get(v, v) if isinstance(v, str) else v for k, v in settings.items()}
    wanted = Request(seed=3, steps=2, **settings)
    expected = pipeline.generate(wanted).waveform
    request.getfixturevalue("half_by_default")
    assert torch.equal(Pipeline(load_checkpoint()).generate(wanted).waveform, expected)


@pytest.mark.parametrize("seconds", [0.0, -1.0, float("nan")])
def test_a_length_of_nothing_is_refused_with_init_audio_too(pipeline, known, seconds):
    with pytest.raises(SettingsError, match=r"cannot be generated|must be"):
        pipeline.generate(Request(prompt="rain", init_audio=known, seconds=seconds))


@pytest.mark.parametrize("stage", ["encoding the audio prompt", "encoding the existing audio"])
def test_a_run_can_be_interrupted_between_pieces_of_its_sounds(pipeline, known, monkeypatch, stage):
    class InterruptedRunError(Exception):
        pass

    seen = []

    def check(_host):
        if seen and seen[-1].stage == stage and seen[-1].done > 0:
            raise InterruptedRunError

    monkeypatch.setattr(type(pipeline.checkpoint), "check_interrupt", check)
    request = Request(prompt="rain", audio=known, init_audio=known, denoise=1.0, **QUICK)
    with pytest.raises(InterruptedRunError):
        pipeline.generate(request, on_progress=seen.append)
    assert seen[-1].stage == stage
    assert 0 < seen[-1].done < 1


def test_progress_goes_through_every_stage_and_ends_with_the_run(sync_checkpoint, clip, known):
    seen, video = [], clip(frames=60, fps=5)  # 12 s: two windows
    request = Request(
        prompt="rain", video=video, audio=known, init_audio=known, denoise=1.0, **QUICK
    )
    Pipeline(sync_checkpoint).generate(request, on_progress=seen.append)
    stages = [*dict.fromkeys(progress.stage for progress in seen)]
    assert stages == [
        "encoding the text", "encoding the video", "encoding the audio prompt",
        "encoding the existing audio", "sampling", "decoding", "finishing",
    ]  # fmt: skip
    shares = [progress.share for progress in seen]
    assert shares == sorted(shares)
    assert [share == 1 for share in shares] == [False] * (len(shares) - 1) + [True]

    def done(stage):
        return [progress.done for progress in seen if progress.stage == stage]

    assert done("sampling") == [0.0, 0.5, 1.0]
    assert len(done("decoding")) > 3  # longer than a window: in pieces
    assert done("decoding")[-1] == 1
    assert len(done("encoding the video")) > 4  # two windows: read, seen, and encoded
    for encoded in ("encoding the audio prompt", "encoding the existing audio"):
        assert 0 < done(encoded)[1] < 1  # in pieces, each of which can be interrupted
        assert done(encoded)[-1] == 1
    assert done("finishing") == [0.0, 1.0]
