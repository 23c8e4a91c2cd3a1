import pytest
import torch

from audiox_core.device import choose_device
from audiox_core.errors import SettingsError


@pytest.mark.parametrize(
    ("cuda", "mps", "best"),
    [(False, False, "cpu"), (True, False, "cuda"), (False, True, "mps")],
)
def test_without_a_name_the_best_device_is_chosen(monkeypatch, cuda, mps, best):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    assert choose_device() == torch.device(best)


def test_a_named_device_is_taken():
    assert choose_device("cpu") == torch.device("cpu")


@pytest.mark.parametrize("name", ["", "tpu", "cuda:x", "meta"])
def test_a_device_that_computes_nothing_is_refused(name):
    with pytest.raises(SettingsError, match=r"cannot be used here.*--device cpu"):
        choose_device(name)
