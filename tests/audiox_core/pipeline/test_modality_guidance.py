"""Guidance by modality: which branches are computed, from which inputs."""

from dataclasses import replace

import pytest
import torch

from audiox_core import Features, Request, StartLatent, Strengths, sample
from audiox_core.config import AudioXConfig
from audiox_core.errors import SettingsError
from audiox_core.limits import GuidanceWeights
from audiox_core.pipeline.modality_guidance import guidance_branches
from audiox_core.pipeline.pipeline import Pipeline
from audiox_core.pipeline.predictor import GuidedBranches, predictor
from audiox_core.pipeline.request import sampling_of
from audiox_core.variants import VARIANTS
from audiox_core.windows import plan

V1 = AudioXConfig()
VIDEO = Features("video", torch.zeros(1, 128, 768), "audiox", seconds=10.0)
AUDIO = Features("audio", torch.zeros(1, 215, 768), "audiox", seconds=10.0)
ALL = Strengths()


def inputs_of(weights, video=VIDEO, audio=AUDIO, strengths=ALL, text=True):
    """(weight, has video, has audio) of every branch."""
    branches = guidance_branches(
        V1, GuidanceWeights(*weights), video, audio, strengths, has_text=text
    )
    return [(w, part.video is not None, part.audio is not None) for w, part in branches]


def test_each_branch_has_one_modality_more():
    assert inputs_of((1, 2, 3)) == [(1, False, False), (2, True, False), (3, True, True)]


def test_equal_weights_leave_the_branch_of_all_modalities():
    assert inputs_of((4, 4, 4)) == [(4, True, True)]


def test_a_missing_modality_is_absent_from_every_branch_and_its_weight_is_not_used():
    assert inputs_of((4, 9, 4), video=None) == [(4, False, True)]
    assert inputs_of((4, 9, 5), None, None) == [(4, False, False)]
    assert inputs_of((4, 4, 9), strengths=Strengths(audio=0.0)) == [(4, True, False)]


def test_without_a_text_its_weight_is_used_only_where_nothing_else_is_left():
    assert inputs_of((9, 4, 5), text=False) == [(4, True, False), (5, True, True)]
    assert inputs_of((9, 4, 5), None, strengths=Strengths(text=0.0)) == [(5, False, True)]
    assert inputs_of((9, 4, 5), None, None, text=False) == [(9, False, False)]


def test_an_audio_weight_of_0_is_the_request_without_audio():
    assert inputs_of((4, 4, 0)) == inputs_of((4, 4, 9), audio=None) == [(4, True, False)]


def test_a_model_without_guidance_is_refused():
    turbo = VARIANTS["audiox-turbo"]
    with pytest.raises(SettingsError, match=r"distilled to run without guidance \(cfg 1\)"):
        guidance_branches(turbo, GuidanceWeights(4, 4, 4), VIDEO, None, Strengths(), has_text=True)
    with pytest.raises(SettingsError, match="leave out --text-guidance"):
        sampling_of(Request(prompt="rain", text_guidance=2.0), turbo)


@pytest.fixture
def conditioned(checkpoint):
    """The branches of a request, and the plain conditioning of it with all inputs."""
    pipeline = Pipeline(checkpoint)

    def make(**settings):
        with torch.no_grad():
            return pipeline.conditioning(Request(**settings), None, 10.0)

    return make


def test_a_scale_that_is_not_set_is_cfg(conditioned):
    found = conditioned(prompt="rain", image=None, cfg=5.0, video_guidance=2.0)
    assert isinstance(found, GuidedBranches)
    assert found.weights == (5.0,)  # text alone
    assert not isinstance(conditioned(prompt="rain"), GuidedBranches)


@pytest.fixture
def picture(tmp_path):
    import av
    import numpy as np

    path = tmp_path / "a.png"
    pixels = np.random.RandomState(0).randint(0, 255, (48, 64, 3), np.uint8)
    av.VideoFrame.from_ndarray(pixels, "rgb24").save(str(path))
    return path


@pytest.mark.parametrize(
    "prompts", [(), ((0.0, 5.0, "a bell"), (5.0, 10.0, "wind"))], ids=["one prompt", "timeline"]
)
def test_the_guided_prediction_is_the_weighted_sum_of_the_differences(
    checkpoint, conditioned, picture, seeded, prompts
):
    given = {"prompt": "rain", "prompts": prompts}
    with_image = conditioned(**given, image=picture)
    text_only = conditioned(**given)
    both = conditioned(**given, image=picture, text_guidance=2.0, video_guidance=5.0)
    assert both.weights == (2.0, 5.0)
    made = plan(checkpoint.config.latent, 25.0)
    x, t = torch.randn(2, 64, made.frames, generator=seeded), torch.full((2,), 0.5)

    def predicted(conditioning, **changes):
        sampling = replace(checkpoint.config.sampling, cfg_rescale=0.0, **changes)
        with torch.no_grad():
            return predictor(checkpoint.backbone, conditioning, sampling, made)(x, t)

    null = predicted(text_only, cfg=0.0)
    text, all_ = (predicted(c, cfg=1.0) for c in (text_only, with_image))
    expected = null + 2.0 * (text - null) + 5.0 * (all_ - text)
    torch.testing.assert_close(predicted(both), expected, rtol=1e-3, atol=1e-3)


def test_equal_scales_are_the_latent_of_that_cfg_bit_for_bit(checkpoint, conditioned, picture):
    start = StartLatent(torch.zeros(1, 64, 236))

    def sampled(cfg=None, **guidance):
        given = conditioned(prompt="rain", image=picture, **guidance)
        sampling = replace(checkpoint.config.sampling, steps=2, cfg=cfg or 3.0)
        return sample(checkpoint, given, start, sampling=sampling, seed=1)

    equal = {"text_guidance": 4.0, "video_guidance": 4.0, "audio_guidance": 9.0}
    assert torch.equal(sampled(**equal), sampled(cfg=4.0))


def test_every_branch_is_computed_once_a_step(checkpoint, conditioned, picture):
    rows, forward = [], checkpoint.backbone.transformer.forward

    def counted(x, *others):
        rows.append(len(x))
        return forward(x, *others)

    x, t = torch.zeros(1, 64, 236), torch.full((1,), 0.5)
    windows = plan(checkpoint.config.latent, 10.0)
    for weights, count in (((3.0, 3.0), 2), ((2.0, 3.0), 3), ((2.0, 0.0), 2)):
        given = conditioned(
            prompt="rain", image=picture, text_guidance=weights[0], video_guidance=weights[1]
        )
        checkpoint.backbone.transformer.forward = counted
        try:
            with torch.no_grad():
                predictor(checkpoint.backbone, given, checkpoint.config.sampling, windows)(x, t)
        finally:
            del checkpoint.backbone.transformer.forward
        assert sum(rows) == count
        rows.clear()
