"""Settings of a run: defaults, and what decides its numbers."""

from dataclasses import fields

import pytest

from audiox_core.errors import SettingsError
from audiox_core.training.config import RANGES, OptimConfig, TrainConfig
from audiox_core.training.settings import read_settings


def test_the_defaults_are_those_of_the_release():
    config = read_settings(None)
    assert config == TrainConfig()
    assert (config.optim.lr, config.optim.betas, config.ema.beta) == (5e-5, (0.9, 0.999), 0.9999)


def test_the_length_of_a_run_is_not_part_of_its_identity():
    config = read_settings(None)
    longer = read_settings(None, [("run.steps", 99), ("run.minutes", 5), ("data.workers", 3)])
    other = read_settings(None, [("optim.lr", 1e-3)])
    assert config.identity() == longer.identity() != other.identity()


def test_the_length_is_part_of_the_identity_of_a_cosine_schedule():
    short, long = (
        read_settings(None, [("optim.schedule", "cosine"), ("run.steps", n)]) for n in (10, 20)
    )
    assert short.identity() != long.identity()


def test_the_items_of_a_step_are_those_of_all_processes():
    assert OptimConfig(batch=4, accumulation=3).items_per_step(processes=2) == 24


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -1.0])
def test_a_learning_rate_that_is_not_finite_or_negative_is_refused(value):
    with pytest.raises(SettingsError, match=r"optim\.lr is .*: it must be 0 to 10\."):
        TrainConfig(optim=OptimConfig(lr=value)).checked()


def numbers(config):
    """Names of all settings that are numbers, but for the model's."""
    for section in fields(config):
        for entry in fields(getattr(config, section.name)) if section.name != "model" else ():
            value = getattr(getattr(config, section.name), entry.name)
            first = value[0] if isinstance(value, tuple) and value else value
            if isinstance(first, (int, float)) and not isinstance(first, bool):
                yield f"{section.name}.{entry.name}"


def test_every_number_has_a_range_that_contains_its_default():
    ranged = [name for names, _, _ in RANGES for name in names.split()]
    assert sorted(ranged) == sorted(numbers(TrainConfig()))
    TrainConfig().checked()
