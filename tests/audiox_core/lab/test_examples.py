"""The example clips are those that the lab renders."""

from importlib.util import find_spec

import pytest
import torch

from audiox_core.lab.evaluation.clips import HELD_OUT
from audiox_core.lab.examples import PIXELS, RATE, example
from audiox_core.lab.world.soundfont import INSTALL
from audiox_core.media.audio import read_audio
from audiox_core.media.examples import CLIPS, VIDEOS, example_file
from audiox_core.media.video import read_frame

pytestmark = pytest.mark.usefixtures("effects")


@pytest.mark.parametrize("name", CLIPS)
def test_the_picture_of_an_example_is_the_rendered_one(name):
    item, second = example(name), CLIPS[name].picture
    shown = read_frame(example_file(name), second).float()
    wanted = item.scene.frames([round(24 * second) / 24], PIXELS)[0].float()
    assert (shown - wanted).abs().mean() < 6  # of 255: compression
    assert wanted.std() > 20  # and there is something to see


@pytest.mark.parametrize("name", CLIPS)
def test_the_sound_of_an_example_is_the_rendered_one(name):
    if name == "music" and not all(map(find_spec, ("tinysoundfont", "pretty_midi"))):
        pytest.skip(INSTALL)
    wanted = example(name).sound(RATE)
    heard = read_audio(example_file(name), sample_rate=RATE)[:, : wanted.shape[-1]]
    alike = torch.nn.functional.cosine_similarity(heard.flatten(), wanted.flatten(), dim=0)
    assert alike > 0.9  # AAC keeps noise only roughly


def test_no_example_is_a_clip_of_the_training():
    assert all(example(name).scene.seed >= HELD_OUT for name in CLIPS)


@pytest.mark.parametrize("name", VIDEOS)
def test_the_events_of_a_video_are_those_of_its_scene(name):
    assert CLIPS[name].events == tuple(event.time for event in example(name).scene.events)


def test_the_three_sources_of_the_yard_sound_within_their_prompts():
    clip, parts = CLIPS["yard"], example("yard").scene.parts
    assert [part.label for part in parts] == ["dog", "door", "thunder"]
    spans = [*clip.prompts, (clip.prompts[-1][1], clip.seconds, clip.prompt)]
    for part, (start, end, _) in zip(parts, spans, strict=True):
        assert all(start < event.time < end for event in part.events)


def test_the_instrument_is_struck_when_a_note_of_the_tune_begins():
    scene = example("music").scene
    times = torch.tensor([event.time for event in scene.events])
    assert len(times) > 15
    assert (times.diff() > 0).all()
    assert {event.pan for event in scene.events} <= {-1.0, -0.5, 0.0, 0.5, 1.0}
