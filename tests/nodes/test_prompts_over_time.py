"""Prompts over time in ComfyUI: its masks, its samplers, its ConditioningCombine."""

import importlib

import pytest
import torch

BELL_RAIN = "0-5: a bell\n5-10: rain"


@pytest.fixture
def timeline(node, loaded):
    """Positive and negative CONDITIONING of lines."""

    def make(lines: str, crossfade: float = 0.5, parts=loaded):
        text = node(
            "AudioXPromptTimeline",
            conditioners=parts.conditioners,
            lines=lines,
            crossfade=crossfade,
        )
        return node("AudioXMaskedConditioning", conditioners=parts.conditioners, text=text)

    return make


@pytest.fixture
def sampled(node, loaded):
    """A latent of a few deterministic steps, by KSampler."""

    def run(branches, seconds: float = 10.0, parts=loaded, batch: int = 1, **settings):
        settings = {
            "steps": 3,
            "cfg": 3.0,
            "sampler_name": "euler",
            "scheduler": "simple",
        } | settings
        latent = node("AudioXEmptyLatent", seconds=seconds, batch_size=batch)
        positive, negative = branches
        return node(
            "KSampler", model=parts.model, positive=positive, negative=negative,
            latent_image=latent, seed=3, denoise=1.0, **settings,
        )["samples"]  # fmt: skip

    return run


def frames(second: float) -> int:
    return round(second * 44_100 / 2_048)


def test_each_part_of_the_time_is_predicted_with_its_prompt(timeline, sampled):
    """One step: the estimate of each frame depends on the prompt of its time alone."""
    one = {"steps": 1}
    both = sampled(timeline(BELL_RAIN), **one)
    bell, rain = (sampled(timeline(text), **one) for text in ("a bell", "rain"))
    early, late = slice(0, frames(4.7)), slice(frames(5.3), frames(9.7))
    torch.testing.assert_close(both[..., early], bell[..., early], rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(both[..., late], rain[..., late], rtol=1e-3, atol=1e-3)
    assert (bell - rain)[..., early].abs().max() > 0.05


def test_time_ranges_with_combine_are_the_same_as_a_timeline(node, loaded, timeline, sampled):
    def assembled(text: str, start: float, end: float):
        tokens = node("AudioXEncodeText", conditioners=loaded.conditioners, text=text)
        positive, _ = node(
            "AudioXMaskedConditioning", conditioners=loaded.conditioners, text=tokens
        )
        return node("AudioXTimeRange", conditioning=positive, start=start, end=end)

    joined = node(
        "ConditioningCombine",
        conditioning_1=assembled("a bell", 0.0, 5.0),
        conditioning_2=assembled("rain", 5.0, 11.0),
    )
    given = timeline("0-5: a bell\n5-11: rain")
    expected, found = sampled(given), sampled((joined, given[1]))
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("settings", [{"cfg": 1.0}, {"batch": 3}, {"seconds": 45.0}])
def test_prompts_over_time_work_with_any_length_batch_and_cfg(timeline, sampled, settings):
    lines = "0-20: a bell\n20-45: rain" if "seconds" in settings else BELL_RAIN
    assert sampled(timeline(lines), **settings).isfinite().all()


def test_two_half_length_prompts_cost_little_more_than_one(loaded, timeline, sampled):
    module = loaded.model.model.diffusion_model.transformer
    rows, forward = [], module.forward

    def counted(x, *others):
        rows.append(len(x))
        return forward(x, *others)

    module.forward = counted
    try:
        sampled(timeline("rain"), seconds=60.0, steps=1)
        one, rows[:] = sum(rows), []
        sampled(timeline("0-30: a bell\n30-60: rain"), seconds=60.0, steps=1)
    finally:
        del module.forward
    assert one < sum(rows) <= 1.25 * one


def test_a_lone_time_range_is_an_error_that_names_the_seconds(node, timeline, sampled, pack):
    error = importlib.import_module(f"{pack.__name__}.audiox_core.errors").SettingsError
    positive, negative = timeline("rain")
    short = node("AudioXTimeRange", conditioning=positive, start=2.0, end=6.0, fade=0.0)
    with pytest.raises(error, match=r"No prompt applies from 0\.00 to 2\.\d\d s"):
        sampled((short, negative))


def test_timestep_ranges_that_leave_frames_uncovered_are_an_error(node, timeline, sampled, pack):
    error = importlib.import_module(f"{pack.__name__}.audiox_core.errors").SettingsError
    positive, negative = timeline(BELL_RAIN)
    early = node("ConditioningSetTimestepRange", conditioning=positive[1:2], start=0.0, end=0.5)
    with pytest.raises(error, match="at some steps"):
        sampled(([positive[0], *early, *positive[2:]], negative))


def test_a_mask_of_another_length_is_an_error(timeline, sampled, pack):
    error = importlib.import_module(f"{pack.__name__}.audiox_core.errors").SettingsError
    positive, negative = timeline("rain")
    masked = [[positive[0][0], {**positive[0][1], "mask": torch.ones(1, 7)}]]
    with pytest.raises(error, match="a mask of 7 frames, but the latent has 236"):
        sampled((masked, negative))


def test_a_time_range_within_another_is_the_narrower_one(node, timeline, pack):
    spans = importlib.import_module(f"{pack.__name__}.nodes.bridge.prompt_masks")
    positive, _ = timeline("2-6: rain")
    found = node("AudioXTimeRange", conditioning=positive[:1], start=4.0, end=9.0)
    span = found[0][1][spans.SPAN]
    assert (span.start, span.end) == (4.0, 6.0)
    with pytest.raises(Exception, match="lies outside of the range"):
        node("AudioXTimeRange", conditioning=positive[:1], start=7.0, end=9.0)


@pytest.mark.parametrize("variant", ["audiox-maf", "audiox-maf-mmdit"])
def test_the_other_models_take_prompts_over_time(family, timeline, sampled, variant):
    parts = family(variant)
    lines = "0-20: a bell\n20-25: rain"
    found = sampled(timeline(lines, parts=parts), seconds=25.0, parts=parts, steps=2)
    assert found.isfinite().all()
