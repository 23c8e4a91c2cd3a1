import pytest
import torch

from audiox_core.device import Precision, choose_device, choose_precision
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


HALF, BRAIN, FULL = torch.float16, torch.bfloat16, torch.float32


@pytest.fixture
def gpu(monkeypatch):
    """Make a GPU of a name and a capability answer."""

    def make(name: str, capability: tuple[int, int]) -> None:
        monkeypatch.setattr(torch.cuda, "get_device_name", lambda _device: name)
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _device: capability)

    return make


@pytest.mark.parametrize(
    ("dtype", "parts"),
    [
        (None, (HALF, HALF, HALF)),
        (HALF, (HALF, HALF, HALF)),
        (BRAIN, (BRAIN, HALF, HALF)),  # the VAE loses too much in bfloat16
        (FULL, (FULL, FULL, FULL)),
    ],
)
def test_a_gpu_computes_in_half_precision_unless_float32_is_asked_for(gpu, dtype, parts):
    gpu("NVIDIA H100", (9, 0))
    assert choose_precision(torch.device("cuda"), dtype) == Precision(*parts)


@pytest.mark.parametrize(
    ("name", "capability"),
    [
        ("NVIDIA GeForce GTX 1660 SUPER", (7, 5)),
        ("NVIDIA GeForce GTX 1650 with Max-Q Design", (7, 5)),
        ("NVIDIA GeForce GTX 1630", (7, 5)),
        ("NVIDIA T500", (7, 5)),
        ("NVIDIA T550 Laptop GPU", (7, 5)),
        ("NVIDIA T600", (7, 5)),
        ("NVIDIA GeForce MX550", (7, 5)),
        ("NVIDIA GeForce MX450", (7, 5)),
        ("NVIDIA CMP 30HX", (7, 5)),
        ("Quadro T2000", (7, 5)),
        ("Quadro T1000", (7, 5)),
        ("NVIDIA T1200 Laptop GPU", (7, 5)),
        ("Tesla P40", (6, 1)),
    ],
)
def test_a_gpu_without_fast_half_precision_computes_in_float32(gpu, name, capability):
    gpu(name, capability)
    assert choose_precision(torch.device("cuda")) == Precision(FULL, FULL, FULL)
    assert choose_precision(torch.device("cuda"), HALF) == Precision(HALF, FULL, FULL)


@pytest.mark.parametrize("name", ["Tesla T4", "NVIDIA GeForce RTX 2060", "Quadro RTX 4000"])
def test_other_gpus_of_the_same_generation_compute_in_half_precision(gpu, name):
    gpu(name, (7, 5))
    assert choose_precision(torch.device("cuda")) == Precision(HALF, HALF, HALF)


def test_a_cpu_computes_in_float32_unless_asked(caplog):
    cpu = torch.device("cpu")
    assert choose_precision(cpu) == Precision(FULL, FULL, FULL)
    assert choose_precision(cpu, BRAIN) == Precision(BRAIN, FULL, FULL)
    assert caplog.text == ""
    assert choose_precision(cpu, HALF) == Precision(HALF, FULL, FULL)
    assert "try bfloat16 or float32" in caplog.text


def test_apple_devices_compute_the_transformer_in_half_precision():
    assert choose_precision(torch.device("mps")) == Precision(HALF, FULL, FULL)
