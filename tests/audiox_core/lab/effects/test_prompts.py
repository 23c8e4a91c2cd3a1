"""The words of the captions: the prompts that come with the pack use no others."""

import re

import pytest

from audiox_core.lab.effects.scenes import effect_scene
from audiox_core.lab.world import phrase
from audiox_core.media.examples import CLIPS

RELEASED = ("AudioX Turbo Sound from Text",)  # its prompt is for a released model
PROMPTS = {"AudioXEncodeText": "text", "AudioXPromptTimeline": "lines"}


@pytest.fixture(scope="module")
def known():
    captions = [effect_scene(seed).caption for seed in range(3_000)]
    captions += [phrase(seed, 2.0, mellow=True).caption for seed in range(1_000)]
    return {word for caption in captions for word in words(caption)}


def words(text):
    return re.findall(r"[a-z]+", text.lower())


@pytest.mark.parametrize("name", [name for name, clip in CLIPS.items() if clip.prompt])
def test_the_prompts_of_an_example_have_only_known_words(name, known):
    texts = [CLIPS[name].prompt, *(text for _, _, text in CLIPS[name].prompts)]
    assert {word for text in texts for word in words(text)} <= known


def test_the_prompts_of_the_workflows_have_only_known_words(write_workflows, known):
    for title, groups in write_workflows.GRAPHS.items():
        nodes = [node for _, column in groups for node in column]
        texts = [values[PROMPTS[kind]] for _, kind, values, *_ in nodes if kind in PROMPTS]
        if title not in RELEASED:
            assert {word for text in texts for word in words(text)} <= known, title
