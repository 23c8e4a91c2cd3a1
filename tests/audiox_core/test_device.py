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


@pytest.mark.parametrize("name", ["", "tpu", "cuda:x", "cuda:", "meta", 5])
def test_an_unknown_device_is_refused_with_the_usual_ones(name):
    with pytest.raises(SettingsError, match=r"Unknown device .*: use cpu, cuda, cuda:1 or mps"):
        choose_device(name)


@pytest.mark.parametrize(
    ("name", "build", "count", "says"),
    [
        ("cuda", None, 0, "is installed without CUDA. Use the device cpu, or install"),
        ("cuda:1", "13.0", 0, "PyTorch finds no GPU. Use the device cpu, or check the driver"),
        ("cuda:7", "13.0", 1, "this machine has only cuda:0."),
        ("cuda:7", "13.0", 4, "this machine has cuda:0 to cuda:3."),
        ("mps", None, 0, "it is the GPU of a Mac with Apple silicon. Use the device cpu."),
        ("hpu", None, 0, "use the device cpu, or leave the device out."),
    ],
)
def test_a_device_that_is_not_there_is_refused_with_a_remedy(monkeypatch, name, build, count, says):
    monkeypatch.setattr(torch.version, "cuda", build)
    monkeypatch.setattr(torch.version, "hip", None)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: count > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(SettingsError) as error:
        choose_device(name)
    assert f"The device '{name}' cannot be used here" in str(error.value)
    assert says in str(error.value)


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
