"""The released variants, and the advice about unusual sampling settings."""

from dataclasses import replace

import pytest

from audiox_core.checkpoint.layout import released_layout
from audiox_core.variants import AMBIGUOUS_VARIANTS, VARIANTS, advice


def test_only_the_ambiguous_variants_have_equal_tensor_names_and_shapes():
    layouts = {
        name: released_layout(replace(config, dit=replace(config.dit, depth=1)), prompt_vae=True)
        for name, config in VARIANTS.items()
    }
    first = layouts[AMBIGUOUS_VARIANTS[0]]
    equal = [name for name, layout in layouts.items() if layout == first]
    assert equal == list(AMBIGUOUS_VARIANTS)


@pytest.mark.parametrize("config", VARIANTS.values(), ids=VARIANTS)
def test_the_default_settings_need_no_advice(config):
    assert advice(config, config.sampling) == ""


@pytest.mark.parametrize(
    ("variant", "changes", "expected"),
    [
        ("audiox-turbo", {"cfg": 7.0}, "audiox-turbo was distilled for cfg 1, not 7."),
        ("audiox-turbo", {"sampler": "euler"}, "audiox-turbo was distilled for lcm, not euler."),
        ("audiox-turbo", {"steps": 41}, "audiox-turbo needs only 4 steps, not 41."),
        ("audiox-base", {"steps": 9}, "9 steps are few for audiox-base; the default is 100."),
        (
            "audiox",
            {"cfg": 1.0},
            "At cfg 1, audiox follows the inputs only weakly; the default is 7.",
        ),
    ],
)
def test_unusual_settings_get_advice(variant, changes, expected):
    config = VARIANTS[variant]
    assert advice(config, replace(config.sampling, **changes)) == expected


def test_each_unusual_setting_is_one_sentence():
    config = VARIANTS["audiox-turbo"]
    text = advice(config, replace(config.sampling, cfg=2.0, sampler="heun"))
    assert text == (
        "audiox-turbo was distilled for cfg 1, not 2. audiox-turbo was distilled for lcm, not heun."
    )


@pytest.mark.parametrize(("variant", "steps"), [("audiox-turbo", 40), ("audiox-base", 10)])
def test_steps_at_the_limit_need_no_advice(variant, steps):
    config = VARIANTS[variant]
    assert advice(config, replace(config.sampling, steps=steps)) == ""
