"""Modules whose files were not found: nothing happens until somebody uses them."""

import copy

import pytest
import torch

from audiox_core.conditioners.missing_module import MissingModule, check_present
from audiox_core.errors import WeightsError
from audiox_core.models.synchformer import sync_features


@pytest.mark.parametrize(
    "use",
    [
        check_present,
        lambda module: module(torch.zeros(1)),
        lambda module: module.encode(["rain"]),
        lambda module: sync_features(module, torch.zeros(16, 3, 32, 32)),
    ],
)
def test_every_use_of_a_missing_module_raises_its_message(use):
    with pytest.raises(WeightsError, match="get the file"):
        use(MissingModule("get the file"))


def test_a_missing_module_can_be_moved_copied_and_has_no_weights():
    missing = torch.nn.ModuleList([MissingModule("get the file")]).to("cpu").eval()
    assert list(copy.deepcopy(missing).parameters()) == []


def test_modules_that_are_there_or_not_needed_are_present():
    check_present(None, torch.nn.Identity())
