"""How long the stages of a run take, roughly."""

import pytest

from audiox_core.config import AudioXConfig, OobleckConfig, SamplingConfig
from audiox_core.pipeline.request import Request
from audiox_core.pipeline.stage_times import (
    load_seconds,
    oobleck_flop,
    stage_seconds,
    transformer_flop,
    write_seconds,
)
from audiox_core.variants import VARIANTS

V1 = AudioXConfig()


def test_the_arithmetic_of_a_transformer_is_that_of_its_matrices():
    # 4 w^2 of attention and 8 w^2 of the feed-forward, each number multiplied and added
    assert transformer_flop(depth=3, width=10, positions=7) == 2 * 12 * 3 * 100 * 7


def test_the_arithmetic_of_the_vae_is_that_of_its_convolutions():
    sizes = OobleckConfig(channels=2, multipliers=(1, 3), strides=(2, 4))
    # 5 frames -> 20 samples: 2 * 6 * 2 + 24 * 2^2; -> 40 samples: 2 * 2 * 2 + 24 * 2^2
    assert oobleck_flop(sizes, 5) == 2 * 20 * (24 + 96) + 2 * 40 * (8 + 96)


@pytest.mark.parametrize(
    ("request_", "stages"),
    [
        (Request(prompt="a"), []),
        (Request(video="a.mp4"), ["encoding the video"]),
        (Request(image="a.png"), ["encoding the image"]),
        (Request(audio="a", init_audio="b"), ["encoding the audio prompt",
                                              "encoding the existing audio"]),
    ],
)  # fmt: skip
def test_stages_are_those_of_the_inputs(request_, stages):
    found = stage_seconds(V1, request_, 10.0, V1.sampling, "cpu")
    assert [*found] == ["encoding the text", *stages, "sampling", "decoding", "finishing"]
    assert min(found.values()) > 0


def test_sampling_grows_with_steps_guidance_windows_prompts_and_calls():
    def sampling(seconds=10.0, prompts=(), **settings):
        request = Request(prompt="rain", prompts=prompts)
        times = stage_seconds(V1, request, seconds, SamplingConfig(**settings), "cpu")
        return times["sampling"]

    one = sampling(steps=10, cfg=1.0)
    assert sampling(steps=20, cfg=1.0) == pytest.approx(2 * one)
    assert sampling(steps=10, cfg=7.0) == pytest.approx(2 * one, rel=0.01)
    assert sampling(seconds=60.0, steps=10, cfg=1.0) == pytest.approx(7 * one)
    assert sampling(prompts=((0, 1, "dog"),), steps=10, cfg=1.0) == pytest.approx(2 * one)
    assert sampling(steps=10, cfg=1.0, sampler="heun") == pytest.approx(2 * one)


def test_synchformer_makes_a_video_longer_and_a_gpu_makes_sampling_shorter():
    def seconds(variant, device):
        config = VARIANTS[variant]
        return stage_seconds(config, Request(video="a.mp4"), 10.0, config.sampling, device)

    plain, sync = seconds("audiox", "cpu"), seconds("audiox-turbo", "cpu")
    assert sync["encoding the video"] > 2 * plain["encoding the video"]
    assert seconds("audiox", "cuda")["sampling"] < plain["sampling"] / 50


def test_loading_grows_with_the_file_and_writing_with_the_sound():
    assert load_seconds(2_000_000) == 2 * load_seconds(1_000_000)
    assert write_seconds(60) == pytest.approx(6 * write_seconds(10))
