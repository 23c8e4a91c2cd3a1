"""Prompts over time under evaluation: which class is heard in which half, and the border."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from audiox_core.lab.evaluation.catalogue import SYNTHETIC
from audiox_core.lab.evaluation.models_under_test import Sizes
from audiox_core.lab.evaluation.timeline_case import timeline_case
from audiox_core.lab.labels import LABELS

RATE = 1_000
LEVELS = {label: (k + 1) / 20 for k, label in enumerate(LABELS)}  # a level stands for a class
BY_LEVEL = SimpleNamespace(
    label=lambda sound, _rate: min(LEVELS, key=lambda x: abs(LEVELS[x] - sound.abs().mean()))
)


def follows_prompts(request) -> torch.Tensor:
    sound = torch.empty(2, 10 * RATE)
    for begin, end, text in request.prompts or ((0, 10, request.prompt),):
        sound[:, round(begin * RATE) : round(end * RATE)] = LEVELS[text]
    return sound * (1 + 0.01 * torch.sin(torch.arange(10 * RATE) / 700))


def ignores_times(request) -> torch.Tensor:
    text = request.prompts[0][2] if request.prompts else request.prompt
    return torch.full((2, 10 * RATE), LEVELS[text])


def figures_of(generate) -> dict:
    catalogue = replace(SYNTHETIC, prompt=lambda label, _rng: label)
    models = SimpleNamespace(
        sizes=Sizes(timeline=6), rate=RATE, generate=generate, catalogue=catalogue
    )
    return timeline_case(models, BY_LEVEL)


def test_a_model_that_follows_the_times_is_right_in_both_halves():
    figures = figures_of(follows_prompts)
    assert figures["timeline.class_in_its_half"] == figures["timeline.class_alone"] == 1
    assert figures["timeline.share_of_alone"] == 1
    assert figures["timeline.pairs"] == 6


def test_a_model_that_ignores_the_times_is_right_in_one_half():
    figures = figures_of(ignores_times)
    assert figures["timeline.class_in_its_half"] == pytest.approx(0.5)
    assert figures["timeline.kept_of_those_heard_alone"] == pytest.approx(0.5)


def test_a_hard_cut_at_the_border_is_found():
    assert figures_of(follows_prompts)["timeline.without_a_step_at_the_border"] == 0
    assert figures_of(ignores_times)["timeline.without_a_step_at_the_border"] == 1
