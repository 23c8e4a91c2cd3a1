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


def test_time_ranges_need_not_cover_what_lies_after_a_short_sound(node, timeline, sampled):
    (text,), negative = timeline("rain")
    halves = [
        entry
        for start, end in ((0.0, 2.5), (2.5, 5.0))
        for entry in node("AudioXTimeRange", conditioning=[text], start=start, end=end)
    ]
    found, expected = (sampled((c, negative), seconds=5.0, steps=1) for c in (halves, [text]))
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
    positive, negative = timeline("0-5: a bell\n5-11: rain")
    early = node("ConditioningSetTimestepRange", conditioning=positive[1:2], start=0.0, end=0.5)
    uncovered = r"From 50% to 100% of the steps: No prompt applies from 5\.2\d to"
    with pytest.raises(error, match=uncovered):
        sampled(([positive[0], *early], negative))


def test_steps_without_a_prompt_are_an_error_that_names_them(node, timeline, sampled, pack):
    error = importlib.import_module(f"{pack.__name__}.audiox_core.errors").SettingsError
    positive, negative = timeline("rain")
    early = node("ConditioningSetTimestepRange", conditioning=positive, start=0.0, end=0.5)
    with pytest.raises(error, match="No prompt applies from 50% to 100% of the steps: combine"):
        sampled((early, negative))


def test_a_time_range_that_starts_after_the_sound_is_an_error(timeline, sampled, pack):
    error = importlib.import_module(f"{pack.__name__}.audiox_core.errors").SettingsError
    with pytest.raises(error, match=r"starts at 12 s, but the latent ends at 10\.96 s"):
        sampled(timeline("rain\n12-14: a bell"))


def test_the_prompt_for_everywhere_else_applies_where_another_has_ended_by_step(
    node, timeline, sampled
):
    (bell, rain, other), negative = timeline(BELL_RAIN)
    late = node("ConditioningSetTimestepRange", conditioning=[rain], start=0.5, end=1.0)
    rest = [[other[0], {k: v for k, v in other[1].items() if k != "audiox_span"}]]
    found = sampled(([bell, *late, *rest], negative), steps=1)
    expected = sampled(([bell, *rest], negative), steps=1)
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-3)


class TestOtherConditioningNodes:
    """Batches, averages, zeros, timestep ranges, hooks and noise masks with prompts over time."""

    @pytest.fixture
    def lines(self, timeline):
        return timeline(BELL_RAIN)

    def test_an_average_keeps_the_times(self, node, timeline, sampled, lines):
        (bell, rain, other), negative = lines
        (wind,), _ = timeline("wind")
        mixed = node(
            "ConditioningAverage", conditioning_to=[bell, rain, other], conditioning_from=[wind],
            conditioning_to_strength=0.5,
        )  # fmt: skip
        by_hand = [[(e[0] + wind[0]) / 2, {**e[1], "pooled_output": None}]
                   for e in (bell, rain, other)]  # fmt: skip
        found, expected = (sampled((c, negative), batch=2) for c in (mixed, by_hand))
        assert torch.equal(found, expected)

    def test_zeros_are_the_unconditional_input_at_all_times(self, node, timeline, sampled, lines):
        zero = node("ConditioningZeroOut", conditioning=lines[0])
        plain = node("ConditioningZeroOut", conditioning=timeline("rain")[0])
        found, expected = (sampled((c, lines[1]), batch=2) for c in (zero, plain))
        torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-3)

    def test_a_zeroed_part_of_the_time_follows_no_prompt(self, node, timeline, sampled, lines):
        bell, *others = lines[0]
        given = [bell, *node("ConditioningZeroOut", conditioning=others)]
        found = sampled((given, lines[1]), batch=2, steps=1)
        zero = node("ConditioningZeroOut", conditioning=timeline("rain")[0])
        late = slice(frames(5.3), frames(9.7))
        expected = sampled((zero, lines[1]), batch=2, steps=1)
        torch.testing.assert_close(found[..., late], expected[..., late], rtol=1e-3, atol=1e-3)

    def test_two_timelines_follow_one_another_by_step(self, node, timeline, sampled, lines):
        """Each with its own crossfades: their weights do not mix."""
        other = timeline("0-3: wind\n3-10: a bell")

        def during(conditioning, start, end):
            return node(
                "ConditioningSetTimestepRange", conditioning=conditioning, start=start, end=end
            )

        joined = node(
            "ConditioningCombine",
            conditioning_1=during(lines[0], 0.0, 0.6),
            conditioning_2=during(other[0], 0.6, 1.0),
        )
        found = sampled((joined, lines[1]), batch=2, steps=1)
        torch.testing.assert_close(found, sampled(lines, batch=2, steps=1), rtol=1e-3, atol=1e-3)
        later = sampled((joined, lines[1]), steps=6)
        assert (later - sampled(lines, steps=6)).abs().max() > 0.05

    def test_a_noise_mask_keeps_the_rest(self, node, loaded, timeline, lines):
        draw = torch.Generator().manual_seed(0)
        sound = {"waveform": 0.1 * torch.randn(1, 2, 441_000, generator=draw),
                 "sample_rate": 44_100}  # fmt: skip
        latent, *_ = node("AudioXInpaintLatent", vae=loaded.vae, audio=sound, regenerate="4-6")

        def sampled(branches):
            positive, negative = branches
            return node(
                "KSampler", model=loaded.model, positive=positive, negative=negative, seed=3,
                latent_image=latent, steps=1, cfg=3.0, sampler_name="euler", scheduler="simple",
                denoise=1.0,
            )["samples"]  # fmt: skip

        both, bell = sampled(lines), sampled(timeline("a bell"))
        kept = slice(0, frames(3.9))
        torch.testing.assert_close(both[..., kept], latent["samples"][..., kept], rtol=0, atol=1e-4)
        early, late = slice(frames(4.3), frames(4.6)), slice(frames(5.4), frames(5.8))
        torch.testing.assert_close(both[..., early], bell[..., early], rtol=1e-3, atol=1e-3)
        assert (both - bell)[..., late].abs().max() > 0.05

    def test_a_hook_acts_only_at_the_time_of_its_prompt(self, loaded, sampled, lines):
        hooks = importlib.import_module("comfy.hooks")
        path = "transformer.project_out"
        like = dict(loaded.model.model.diffusion_model.named_parameters())[f"{path}.weight"]
        draw = torch.Generator().manual_seed(0)
        shapes = {"up": (len(like), 4), "down": (4, like.shape[1])}
        lora = {
            f"diffusion_model.{path}.lora_{name}.weight": torch.randn(shape, generator=draw)
            for name, shape in shapes.items()
        }
        (bell, rain, other), negative = lines
        hooked = [rain[0], {**rain[1], "hooks": hooks.create_hook_lora(lora, 1.0, 0.0)}]
        found = sampled(([bell, hooked, other], negative), batch=2, steps=1)
        plain = sampled(lines, batch=2, steps=1)
        early, late = slice(0, frames(4.7)), slice(frames(5.3), frames(9.7))
        torch.testing.assert_close(found[..., early], plain[..., early], rtol=1e-3, atol=1e-3)
        assert (found - plain)[..., late].abs().max() > 0.05


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
