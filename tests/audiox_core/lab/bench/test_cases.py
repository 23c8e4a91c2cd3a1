"""The cases of the bench: which a model has, and that all ways compute the same."""

import pytest
import torch

from audiox_core.lab.bench.cases import groups, names
from audiox_core.lab.bench.names import NAMES
from audiox_core.variants import VARIANTS


def test_only_models_with_synchformer_have_its_case():
    assert names(VARIANTS["audiox-maf"]) == list(NAMES)
    assert [name for name in NAMES if name not in names(VARIANTS["audiox"])] == ["encode sync"]


def test_cases_are_chosen_by_a_part_of_their_name(checkpoint):
    chosen = [group.name for group in groups(checkpoint, steps=1, only="encode")]
    assert chosen == ["encode text", "encode video", "encode image", "encode audio"]


@pytest.mark.parametrize("case", ["forward", "guided step"])
def test_all_ways_of_a_case_compute_the_same(checkpoint, case):
    (group,) = groups(checkpoint, steps=1, only=case)
    with torch.no_grad():
        first, *others = [way() for way in group.ways.values()]
    for other in others:
        torch.testing.assert_close(other, first, rtol=1e-4, atol=1e-4)


def test_a_minute_is_measured_beside_one_window(checkpoint):
    (group,) = groups(checkpoint, steps=1, only="long step")
    with torch.no_grad():
        frames = [way().shape[-1] for way in group.ways.values()]
    assert [*group.ways] == ["one window", "ours"]
    assert frames == [236, 1_292]  # 60 s at 44,100 / 2,048 Hz
