"""The synthetic world as a source: clips as a model reads them, the same ones for each index."""

from dataclasses import replace
from importlib.util import find_spec

import pytest
import torch

from audiox_core.config import AudioXConfig, ClipConfig, LatentConfig, SyncConfig, VideoConfig
from audiox_core.config import SynchformerConfig as Encoder
from audiox_core.errors import SettingsError
from audiox_core.lab.world import Phrase, Scene, World
from audiox_core.lab.world.soundfont import INSTALL

SMALL = AudioXConfig(
    latent=LatentConfig(
        sample_rate=8_000, hop_length=500, channels=8, window=80, conditioned_seconds=4.0
    ),
    video=VideoConfig(fps=5.0, frames=20, tokens=20, clip=ClipConfig(image=32, patch=8)),
)


@pytest.fixture(scope="module")
def scenes():
    return World(SMALL, seed=1, count=30, music=0.0)


def test_a_clip_has_the_models_sizes(scenes):
    clip = scenes.clip(0)
    assert clip.audio.shape == (2, 80 * 500)
    assert clip.frames.shape == (20, 3, 32, 32)
    assert clip.sync is None
    assert clip.caption == scenes.item(0).caption


def test_a_model_with_synchformer_gets_sync_frames():
    encoder = Encoder(image=16, patch=8)
    video = replace(SMALL.video, sync=SyncConfig(fps=25.0, frames=100, encoder=encoder))
    clip = World(replace(SMALL, video=video), seed=1, count=3, music=0.0).clip(2)
    assert clip.sync.shape == (100, 3, 16, 16)
    assert clip.frames.shape == (20, 3, 32, 32)


def test_frames_are_those_of_the_targets_times(scenes):
    clip, item = scenes.clip(4), scenes.item(4)
    assert torch.equal(clip.frames[7], item.frames([7 / 5], 32)[0])
    assert torch.equal(clip.audio, item.audio(8_000)[:, : 80 * 500])


def test_an_index_gives_the_same_clip_in_every_world_of_a_seed(scenes):
    again = World(SMALL, seed=1, count=7, music=0.0)
    for index in (6, 2):
        assert again.item(index) == scenes.item(index)
        assert torch.equal(again.clip(index).audio, scenes.clip(index).audio)


def test_worlds_of_two_seeds_share_no_scene(scenes):
    other = World(SMALL, seed=2, count=30, music=0.0)
    drawn = [{world.item(index).seed for index in range(30)} for world in (scenes, other)]
    assert len(drawn[0]) == len(drawn[1]) == 30
    assert not drawn[0] & drawn[1]


def test_some_scenes_have_a_prompt_of_their_class(scenes):
    prompts = [scenes.clip(index).prompt for index in range(30)]
    there = [prompt for prompt in prompts if prompt is not None]
    assert 4 <= len(there) <= 18
    assert all(prompt.shape == (2, 32_000) and prompt.abs().max() > 0.1 for prompt in there)


def test_music_is_as_often_as_asked():
    world = World(SMALL, seed=3, count=200, music=0.25)
    kinds = [type(world.item(index)) for index in range(200)]
    assert set(kinds) == {Scene, Phrase}
    assert 30 <= kinds.count(Phrase) <= 70
    assert len(world) == 200


def test_music_continues_its_prompt_and_has_no_picture():
    if not all(map(find_spec, ("tinysoundfont", "pretty_midi"))):
        pytest.skip(INSTALL)
    world = World(SMALL, seed=3, count=2, music=1.0)
    clip, sound = world.clip(1), world.item(1).audio(8_000)
    assert clip.frames is None
    assert torch.equal(torch.cat((clip.prompt, clip.audio), -1), sound[:, : 32_000 + 40_000])


def test_a_window_shorter_than_a_scene_gets_its_start():
    latent = LatentConfig(
        sample_rate=8_000, hop_length=500, channels=8, window=16, conditioned_seconds=0.8
    )
    clip = World(replace(SMALL, latent=latent), seed=1, count=1, music=0.0).clip(0)
    assert clip.audio.shape == (2, 8_000)


@pytest.mark.parametrize(
    ("count", "music", "message"), [(0, 0.2, "0 clips"), (3, 1.5, "share of music is 1.5")]
)
def test_invalid_numbers_for_a_world_are_refused(count, music, message):
    with pytest.raises(SettingsError, match=message):
        World(SMALL, seed=1, count=count, music=music)


@pytest.mark.parametrize("index", [-1, 30])
def test_iterating_over_a_world_stops_after_its_last_clip(scenes, index):
    with pytest.raises(IndexError, match="among 30"):
        scenes.clip(index)
