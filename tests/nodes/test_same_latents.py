"""One request gives one latent: on the command line, from Python, and in the graph."""

import shutil
from itertools import pairwise

import av
import numpy as np
import pytest
import torch

from audiox_core import Pipeline, Request, load_checkpoint
from audiox_core.cli import main
from audiox_core.media.audio import write_audio
from audiox_core.pipeline import pipeline as core_pipeline
from audiox_core.variants import VARIANTS

STEPS, CFG, SEED = 3, 2.5, 11
RATE = 44_100

# name -> options of the command line; {files} are those of the fixture
CASES = {
    "text": ["--prompt", "rain"],
    "negative": ["--prompt", "rain", "--negative", "music"],
    "three windows": ["--prompt", "rain", "--seconds", "25"],
    "video": ["--video", "{video}", "--start", "1.5", "--seconds", "4", "--hide", "video:0-1"],
    "image": ["--image", "{image}", "--prompt", "rain", "--seconds", "3"],
    "long video": ["--video", "{long}", "--prompt", "rain"],
    "sound prompt": ["--audio", "{prompt}", "--hide", "audio:1-2", "--audio-strength", "0.5"],
    "all": ["--prompt", "dog", "--negative", "rain", "--video", "{video}", "--audio", "{prompt}"],
    "variation": ["--prompt", "rain", "--init-audio", "{sound}", "--denoise", "0.4"],
    "inpainting": ["--prompt", "rain", "--init-audio", "{sound}", "--inpaint", "1-2.5"],
    "loop": ["--prompt", "rain", "--seconds", "3", "--loop"],
}
# the same cases for the nodes: text of each socket, seconds where they are not ten
WORDS = {
    "text": {
        case: "dog" if case == "all" else "rain"
        for case in CASES
        if case not in ("video", "sound prompt")
    },
    "negative_text": {"negative": "music", "all": "rain"},
}
SECONDS = {"three windows": 25.0, "image": 3.0, "loop": 3.0}


@pytest.fixture(scope="session")
def files(comfy, clips):
    """Two videos, an image and two sounds, where the loaders of ComfyUI find them."""
    folder = comfy.scratch / "input"
    shutil.copy(clips / "bikes.mp4", folder / "same.mp4")
    with av.open(str(clips / "bikes.mp4")) as container:
        next(container.decode(video=0)).save(str(folder / "same.png"))
    draw = torch.Generator().manual_seed(3)
    write_audio(folder / "same.wav", 0.2 * torch.randn(2, 6 * RATE, generator=draw), RATE)
    # longer, at another rate, and quiet: loud noise makes random weights of v1 so sensitive that
    # rounding alone (5e-8) becomes 6e-5 in one step
    prompt = 0.05 * torch.randn(2, 12 * 48_000, generator=draw)
    write_audio(folder / "same-prompt.wav", prompt, 48_000)
    write_noise_video(folder / "same-long.mp4", seconds=25)
    names = {
        "video": "same.mp4",
        "long": "same-long.mp4",
        "image": "same.png",
        "sound": "same.wav",
        "prompt": "same-prompt.wav",
    }
    return {kind: folder / name for kind, name in names.items()}


def write_noise_video(path, seconds):
    draw = np.random.RandomState(0)
    with av.open(str(path), "w") as target:
        stream = target.add_stream("mpeg4", rate=5)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for _ in range(5 * seconds):
            frame = av.VideoFrame.from_ndarray(draw.randint(0, 255, (48, 64, 3), np.uint8), "rgb24")
            target.mux(stream.encode(frame))
        target.mux(stream.encode(None))


@pytest.fixture
def core_latent(monkeypatch, tmp_path):
    """Run `generate` of the command line, or `Pipeline.generate`; the latent that was sampled."""
    found, sample = [], core_pipeline.sample

    def recording(*arguments, **settings):
        found.append(sample(*arguments, **settings))
        return found[-1]

    monkeypatch.setattr(core_pipeline, "sample", recording)

    def run(path, solver, options):
        output = str(tmp_path / "out.wav")
        sampling = ["--steps", STEPS, "--cfg", CFG, "--seed", SEED, "--sampler", solver]
        given = [*options, *sampling, "--checkpoint", path, "--device", "cpu", "--force"]
        given += ["--output", output]
        assert main(["generate", *map(str, given)]) == 0
        return found.pop()

    run.found = found
    return run


class Graph:
    """The same run as nodes."""

    def __init__(self, node):
        self.node = node

    def latent(self, parts, solver, case):
        """The latent of AudioX Sampler."""
        sound = self.node("LoadAudio", audio="same.wav")
        (positive, negative), seconds = self.conditioning(parts, case)
        latent, denoise = self.start(parts, case, sound, seconds)
        return self.node(
            "AudioXSampler",
            model=parts.model,
            positive=positive,
            negative=negative,
            latent_image=latent,
            seed=SEED,
            steps=STEPS,
            cfg=CFG,
            sampler_name=solver,
            denoise=denoise,
        )["samples"]

    def guided(self, parts, solver, scales):
        """The latent of SamplerCustomAdvanced with AudioX Guider: a text, an image and a sound."""
        shared = {"conditioners": parts.conditioners}
        prompt = self.node("LoadAudio", audio="same-prompt.wav")
        image = self.node("LoadImage", image="same.png")[0]
        guider = self.node(
            "AudioXGuider", model=parts.model, **shared, **scales,
            text=self.node("AudioXEncodeText", text="rain", **shared),
            video=self.node("AudioXEncodeImage", image=image, **shared),
            audio=self.node("AudioXEncodeAudio", vae=parts.vae, audio=prompt, **shared),
        )  # fmt: skip
        return self.node(
            "SamplerCustomAdvanced", noise=self.node("RandomNoise", noise_seed=SEED), guider=guider,
            sampler=self.node("KSamplerSelect", sampler_name=solver),
            sigmas=self.node("AudioXScheduler", model=parts.model, steps=STEPS),
            latent_image=self.node("AudioXEmptyLatent", seconds=10.0),
        )[0]["samples"]  # fmt: skip

    def conditioning(self, parts, case):
        """Positive and negative, and the seconds of the latent."""
        shared, seconds = {"conditioners": parts.conditioners}, SECONDS.get(case, 10.0)
        given = {
            socket: self.node("AudioXEncodeText", text=words[case], **shared)
            for socket, words in WORDS.items()
            if case in words
        }
        if case in ("video", "long video", "all"):
            part = {"start": 1.5, "length": 4.0, "time_mask": "0-1"} if case == "video" else {}
            name = "same-long.mp4" if case == "long video" else "same.mp4"
            video = self.node("LoadVideo", file=name)
            given["video"], seconds = self.node("AudioXEncodeVideo", video=video, **part, **shared)
        if case == "image":
            image = self.node("LoadImage", image="same.png")[0]
            given["video"] = self.node("AudioXEncodeImage", image=image, **shared)
        if case in ("sound prompt", "all"):
            mask = {"time_mask": "1-2"} if case == "sound prompt" else {}
            prompt = self.node("LoadAudio", audio="same-prompt.wav")
            given["audio"] = self.node(
                "AudioXEncodeAudio", vae=parts.vae, audio=prompt, **mask, **shared
            )
        if case == "sound prompt":
            given["audio_strength"] = 0.5
        return self.node("AudioXMaskedConditioning", **given, **shared), seconds

    def start(self, parts, case, sound, seconds):
        """The latent to sample from, and its denoise."""
        if case == "inpainting":
            latent, _, _ = self.node(
                "AudioXInpaintLatent", vae=parts.vae, audio=sound, regenerate="1-2.5"
            )
            return latent, 1.0
        if case != "variation":
            return self.node("AudioXEmptyLatent", seconds=seconds, loop=case == "loop"), 1.0
        latent = self.node("AudioXEmptyLatent", seconds=6.0)
        missing = latent["samples"].shape[-1] * 2048 - sound["waveform"].shape[-1]
        padded = torch.nn.functional.pad(sound["waveform"], (0, missing))
        known = {"waveform": padded, "sample_rate": RATE}
        return {**latent, **self.node("VAEEncodeAudio", vae=parts.vae, audio=known)}, 0.4


@pytest.fixture
def graph_latent(node, files):
    """Build the same run of nodes; the latent of AudioX Sampler."""
    return Graph(node).latent


@pytest.fixture
def guided_latent(node, files):
    """The latent of AudioX Guider and SamplerCustomAdvanced."""
    return Graph(node).guided


def solver_of(variant):
    # not euler for v-prediction: ComfyUI's takes the difference of two numbers of 500
    return "euler" if VARIANTS[variant].objective == "rectified_flow" else "dpmpp_2m_sde"


def assert_same(found, expected, tolerance=1e-4):
    assert found.shape == expected.shape
    missed = (found.cpu() - expected).norm() / expected.norm()
    assert missed < tolerance, f"the latents differ by {missed:.1e} of their norm"


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("variant", VARIANTS)
def test_the_command_line_and_the_graph_sample_the_same_latent(
    core_latent, graph_latent, family, files, variant, case
):
    parts, solver = family(variant), solver_of(variant)
    options = [option.format(**files) for option in CASES[case]]
    assert_same(graph_latent(parts, solver, case), core_latent(parts.path, solver, options))


@pytest.mark.parametrize("variant", VARIANTS)
def test_each_variants_own_sampler_gives_the_same_latent(
    core_latent, graph_latent, family, variant
):
    parts, solver = family(variant), VARIANTS[variant].sampling.sampler
    options = ["--prompt", "rain"]
    # random weights magnify the last digits of a solver that takes differences
    assert_same(graph_latent(parts, solver, "text"), core_latent(parts.path, solver, options), 1e-3)


@pytest.mark.parametrize("variant", ["audiox-maf", "audiox-base"])
def test_guidance_by_modality_samples_the_same_latent(
    core_latent, guided_latent, family, files, variant
):
    """With a solver that draws no noise: SamplerCustomAdvanced draws it in its own way."""
    scales = {"text_guidance": 1.5, "video_guidance": 4.0, "audio_guidance": 0.5}
    options = ["--prompt", "rain", "--image", files["image"], "--audio", files["prompt"]]
    for name, scale in scales.items():
        options += [f"--{name.replace('_', '-')}", scale]
    parts, solver = family(variant), "euler" if variant == "audiox-base" else "heun"
    expected = core_latent(parts.path, solver, options)
    assert_same(guided_latent(parts, solver, scales), expected, 1e-3)
    ordinary = core_latent(parts.path, solver, options[:6])
    assert (ordinary - expected).norm() > 3e-2 * expected.norm()


def test_python_samples_the_latent_of_the_command_line(core_latent, family, files):
    path, solver = family("audiox").path, solver_of("audiox")
    options = [option.format(**files) for option in CASES["all"]]
    expected = core_latent(path, solver, options)
    request = Request(
        prompt="dog", negative="rain", video=files["video"], audio=files["prompt"],
        steps=STEPS, cfg=CFG, seed=SEED, sampler=solver,
    )  # fmt: skip
    Pipeline(load_checkpoint(path, device="cpu")).generate(request)
    assert torch.equal(core_latent.found.pop(), expected)


def test_another_input_is_another_latent(core_latent, family, files):
    """The comparison above can fail: each case samples a latent of its own."""
    path, solver = family("audiox-turbo").path, solver_of("audiox-turbo")
    latents = [
        core_latent(path, solver, [option.format(**files) for option in CASES[case]])
        for case in ("text", "negative", "image", "variation", "inpainting")
    ]
    for first, second in pairwise(latents):
        assert (first - second).norm() > 1e-2 * first.norm()
