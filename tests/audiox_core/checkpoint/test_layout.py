"""Which tensors a file must hold, and how a file differs from that."""

from pathlib import Path

import pytest
import torch

from audiox_core.checkpoint.layout import (
    AUDIO_VAE,
    DIT,
    MAF,
    VAE,
    check_below,
    check_layout,
    compare,
    oobleck_layout,
    released_layout,
)
from audiox_core.checkpoint.weight_file import Stored, WeightFile
from audiox_core.config import OobleckConfig
from audiox_core.errors import WeightsError


def file_of(layout):
    tensors = {name: Stored(shape, torch.float32) for name, shape in layout.items()}
    return WeightFile(Path("model.ckpt"), tensors)


@pytest.mark.parametrize("variant", ["audiox", "audiox-maf", "audiox-turbo"])
def test_the_parts_together_are_the_whole_file(toys, variant):
    config = toys.tiny(variant)
    parts = [released_layout(config, [part]) for part in ("conditioners", "backbone", "vae")]
    assert released_layout(config) == parts[0] | parts[1] | parts[2]
    assert sum(map(len, parts)) == len(released_layout(config))
    assert any(name.startswith(MAF) for name in parts[0]) == (variant != "audiox")
    assert any(name.startswith(AUDIO_VAE) for name in parts[0]) == (variant != "audiox-maf")


def test_a_part_is_checked_whatever_the_others_are(toys):
    config = toys.tiny("audiox")
    file = file_of(released_layout(config, ["backbone"]) | {f"{VAE}surprise": (1,)})
    check_layout(file, config, "backbone")
    with pytest.raises(WeightsError, match="unexpected"):
        check_layout(file, config, "vae")
    with pytest.raises(WeightsError, match="missing"):
        check_layout(file, config)


def test_a_vae_that_the_whole_file_lacks_is_not_missed(toys):
    config = toys.tiny("audiox")
    check_layout(file_of(released_layout(config, ["conditioners", "backbone"])), config)


def test_differences_are_counted_and_the_first_two_named():
    expected = dict.fromkeys(("a", "b", "c", "d"), (1,))
    differences = compare({"d": (2,), "x": (1,)}, expected)
    assert str(differences) == (
        "3 missing (a, b, …); 1 unexpected (x); 1 of another shape (d (2,) for (1,))"
    )
    assert not compare(expected, expected)


@pytest.mark.parametrize("name", ["inv_freq", "decoder.block.0.x", "lm_head.weight"])
def test_tensors_that_are_never_used_do_not_count(name):
    assert not compare({"a": (1,), name: (9,)}, {"a": (1,)})
    assert not compare({"a": (1,)}, {"a": (1,), name: (9,)})


def test_a_layout_is_checked_below_its_prefix_only():
    file = file_of({f"{DIT}a": (1,), "other": (1,)})
    check_below(file, DIT, {f"{DIT}a": (1,)}, "model")
    with pytest.raises(WeightsError, match=f"not a complete model: 1 missing .{DIT}b"):
        check_below(file, DIT, {f"{DIT}a": (1,), f"{DIT}b": (1,)}, "model")


@pytest.mark.parametrize("size", [0, -1, 2**62])
def test_sizes_that_no_module_can_have_are_refused(size):
    with pytest.raises(WeightsError, match="No AudioX model can have these sizes"):
        oobleck_layout(OobleckConfig(latent_channels=size))
