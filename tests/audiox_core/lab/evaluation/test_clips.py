"""Held-out clips as files."""

from itertools import pairwise

import pytest

from audiox_core.lab.evaluation.catalogue import EFFECTS
from audiox_core.lab.evaluation.clips import (
    HELD_OUT,
    SECONDS,
    even_times,
    held_out_phrase,
    held_out_scene,
    uneven_times,
    write_scene,
)
from audiox_core.lab.labels import LABELS
from audiox_core.media.video import FrameGrid, probe_video, read_grids


@pytest.mark.parametrize("times", [even_times(16), even_times(30), uneven_times(3)], ids=len)
def test_a_written_scene_has_its_frames_at_their_times(tmp_path, times):
    scene = held_out_scene(7, "beep")
    path = write_scene(tmp_path / "scene.mp4", scene, times)
    assert probe_video(path).seconds == pytest.approx(SECONDS, abs=0.07)
    (seen,) = read_grids(path, [FrameGrid(50, 5.0, 32)])
    expected = scene.frames([k / 5 for k in range(50)], 32)
    difference = (seen.float() - expected.float()).abs().mean(dim=(1, 2, 3))
    changes = (expected[1:].float() - expected[:-1].float()).abs().mean(dim=(1, 2, 3))
    assert difference.median() < 0.2 * changes.max()


def test_uneven_times_rise_by_gaps_of_12_to_30_frames_a_second():
    times = uneven_times(3)
    gaps = [after - before for before, after in pairwise(times)]
    assert times[0] == 0
    assert times[-1] < SECONDS
    assert 1 / 30 - 0.001 <= min(gaps) < max(gaps) <= 1 / 12 + 0.001
    assert uneven_times(4) != times


def test_even_times_are_multiples_of_the_frame_duration():
    assert even_times(16)[:3] == [0.0, 0.0625, 0.125]
    assert len(even_times(16)) == 160


def test_held_out_scenes_have_seeds_that_training_does_not_draw_and_all_classes():
    scenes = [held_out_scene(number) for number in range(len(LABELS))]
    assert min(scene.seed for scene in scenes) >= HELD_OUT
    assert {scene.label for scene in scenes} == set(LABELS)


def test_held_out_scenes_of_effects_have_one_source_each():
    pytest.importorskip("PIL")
    scenes = [held_out_scene(n, None, EFFECTS) for n in range(len(EFFECTS.labels))]
    assert [scene.label for scene in scenes] == [*EFFECTS.labels]
    assert min(scene.seed for scene in scenes) >= HELD_OUT
    assert {len(scene.parts) for scene in scenes} == {1}
    assert {scene.seconds for scene in scenes} == {SECONDS}


def test_held_out_phrases_have_seeds_that_training_does_not_draw():
    assert held_out_phrase(3, 4.0).seed == held_out_phrase(3, 4.0, EFFECTS).seed == HELD_OUT + 3
