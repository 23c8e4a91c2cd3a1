"""The names and ranges of the settings of a run."""

from dataclasses import replace

import pytest

from audiox_core.checkpoint.convert import STORED_DTYPES
from audiox_core.config import AudioXConfig
from audiox_core.device import DTYPES
from audiox_core.diffusion.samplers import SOLVERS
from audiox_core.errors import SettingsError
from audiox_core.limits import (
    DTYPE_NAMES,
    FLOW_SOLVERS,
    SOLVER_NAMES,
    STORED_DTYPE_NAMES,
    GuidanceWeights,
    check_guidance,
    check_loop,
    check_seconds,
    check_seed,
    length_from,
    resolve_sampling,
)
from audiox_core.variants import VARIANTS

V1, TURBO = AudioXConfig(), VARIANTS["audiox-turbo"]


def test_names_are_those_of_the_solvers_and_dtypes():
    assert tuple(SOLVERS) == SOLVER_NAMES
    assert set(FLOW_SOLVERS) < set(SOLVER_NAMES)
    assert tuple(DTYPES) == DTYPE_NAMES
    assert tuple(STORED_DTYPES) == STORED_DTYPE_NAMES


def test_settings_that_are_none_are_the_models_own():
    assert resolve_sampling(V1, steps=None, cfg=None) == V1.sampling
    assert resolve_sampling(V1, steps=7, cfg=0.0) == replace(V1.sampling, steps=7, cfg=0.0)


@pytest.mark.parametrize(
    ("config", "settings", "message"),
    [
        (V1, {"steps": 0}, "steps is 0"),
        (V1, {"steps": 10_001}, "1 to 10,000"),
        (V1, {"cfg": 100.1}, "0 to 100"),
        (V1, {"cfg": -0.1}, "0 to 100"),
        (V1, {"cfg_rescale": 1.01}, "0 to 1"),
        (V1, {"sampler": "magic"}, "Unknown sampler 'magic'"),
        (TURBO, {"sampler": "dpmpp_3m_sde"}, "rectified flow models: use one of lcm"),
    ],
)
def test_settings_that_no_run_can_use_are_refused(config, settings, message):
    with pytest.raises(SettingsError, match=message):
        resolve_sampling(config, **settings)


def test_the_limits_themselves_are_allowed():
    resolve_sampling(V1, steps=10_000, cfg=100, cfg_rescale=1)
    resolve_sampling(V1, steps=1, cfg=0, cfg_rescale=0)
    for seed in (0, 2**64 - 1):
        check_seed(seed)
    for seed in (-1, 2**64):
        with pytest.raises(SettingsError, match="must be a whole number from 0 to 18,446"):
            check_seed(seed)


@pytest.mark.parametrize(
    ("seconds", "remark"), [(0.0, False), (float("nan"), False), (600.1, True)]
)
def test_only_a_length_above_the_maximum_mentions_parts_of_a_video(seconds, remark):
    with pytest.raises(SettingsError, match=r"it must be 0\.1 to 600 s") as error:
        check_seconds(seconds)
    assert ("part of a video" in str(error.value)) == remark


@pytest.mark.parametrize("seconds", [1.9, 601, float("nan")])
def test_a_length_that_no_loop_has_is_refused(seconds):
    with pytest.raises(SettingsError, match="it must be"):
        check_loop(seconds)


@pytest.mark.parametrize("weights", [(-1, 4, 4), (4, float("nan"), 4), (4, 4, 101)])
def test_a_guidance_scale_out_of_range_is_refused(weights):
    with pytest.raises(SettingsError, match=r"_guidance is .*it must be 0 to 100, usually 0 to 8"):
        check_guidance(GuidanceWeights(*weights), V1)


def test_a_model_that_runs_without_guidance_has_no_guidance_scales():
    with pytest.raises(
        SettingsError, match=r"distilled to run without guidance \(cfg 1\)"
    ) as error:
        check_guidance(GuidanceWeights(4, 4, 4), TURBO)
    assert "leave out --text-guidance" in str(error.value)
    assert "use AudioX Sampler" in error.value.for_node


def test_the_part_of_a_video_ends_with_the_video():
    assert length_from("a.mp4", 30.0, 28.0, 10.0) == 2
    assert length_from("a.mp4", 30.0, 28.0, 1.5) == 1.5
    with pytest.raises(SettingsError, match=r"a\.mp4 is 30\.00 s long, but the start is 30 s"):
        length_from("a.mp4", 30.0, 30.0)
    with pytest.raises(SettingsError, match=r"at least 0\.1 s is needed"):
        length_from("a.mp4", 0.05, 0.0)
