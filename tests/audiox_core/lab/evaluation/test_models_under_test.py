"""How many clips an evaluation looks at."""

from audiox_core.lab.evaluation.models_under_test import Sizes


def test_a_share_of_one_keeps_all_clips():
    assert Sizes().times(1.0) == Sizes()


def test_a_half_takes_half_of_each_case():
    assert Sizes(text=200, video=100).times(0.5).text == 100
    assert Sizes(text=200, video=100).times(0.5).video == 50


def test_a_small_share_keeps_enough_clips_to_shuffle():
    small = Sizes().times(0.001)
    assert small.conflict == 4
    assert {small.text, small.video, small.rates, small.music, small.repair, small.vae} == {2}
    assert {small.timeline, small.order, small.onsets} == {2}
