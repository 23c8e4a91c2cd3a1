"""A GPU of any size in ComfyUI's own accounting, where there is none.

The device is `cpu:0`, which computes like the CPU and is not equal to `cpu`. Its
free memory is a limit less what ComfyUI has loaded there. So ComfyUI's own rules decide what is
loaded, in part or whole, and what has to go.
"""

from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from unittest import mock

import torch

GPU, CPU = torch.device("cpu", 0), torch.device("cpu")


class OnDemand:
    """Stands for the memory of ComfyUI's dynamic VRAM: layers come into it when they compute."""

    def __init__(self, *_size_and_device: object) -> None:
        self.staged = 0  # bytes of the layers that will come

    def alloc(self, size: int) -> tuple[object, int, int]:
        """A place for a layer."""
        self.staged += size
        return self, self.staged - size, size

    def prioritize(self) -> None:
        """Nothing is there to be ordered."""

    def loaded_size(self) -> int:
        """No layer has computed yet."""
        return 0

    def free_memory(self, _size: float) -> int:
        """Nothing is there to be freed."""
        return 0


class NoPins:
    """Stands for pinned memory of the CPU."""

    def __init__(self, *_sizes: object) -> None:
        self.size = 0


@dataclass
class Loaded:
    """What was on the GPU after a model was loaded, in bytes."""

    asked: list[str]  # kinds of the models that were asked for
    models: dict[str, int]  # kind -> bytes that are loaded
    reserved: float  # for what is computed
    staged: int = 0  # bytes of layers that come when they compute, with dynamic VRAM

    @property
    def peak(self) -> float:
        """Weights and what is computed, by ComfyUI's accounting."""
        return sum(self.models.values()) + self.reserved


@dataclass
class SmallGpu:
    """ComfyUI with a GPU.

    Args:
        limit: bytes of it.
        state: of ComfyUI's `VRAMState`: NORMAL_VRAM, LOW_VRAM (--lowvram), NO_VRAM (--novram).
        cpu_vae: as with --cpu-vae.
        least: bytes that ComfyUI keeps free for inference; None leaves its own 0.8 GB and reserve.
        half: whether the GPU computes in float16 and bfloat16.
        dynamic: whether ComfyUI loads each layer when it computes (0.33, dynamic VRAM).
    """

    limit: float
    state: str = "NORMAL_VRAM"
    cpu_vae: bool = False
    least: float | None = 0
    half: bool = False
    dynamic: bool = False
    log: list[Loaded] = field(default_factory=list)

    @contextmanager
    def here(self):
        """As long as this lasts, ComfyUI has the GPU."""
        import comfy.model_management as mm

        load, reserve = mm.load_models_gpu, mm.extra_reserved_memory
        mm.unload_all_models()

        def free(device=None, torch_free_too=False):
            left = self.limit - self.used(mm) if device in (None, GPU) else 64 << 30
            return (left, left) if torch_free_too else left

        def logged(models, memory_required=0, **options):
            result = load(models, memory_required=memory_required, **options)
            least = mm.minimum_inference_memory()
            kinds = [type(patcher.model).__name__ for patcher in models]
            reserved = max(least, memory_required + mm.extra_reserved_memory())
            vbars = [v for p in models for v in getattr(p.model, "dynamic_vbars", {}).values()]
            staged = sum(vbar.staged for vbar in vbars)
            self.log.append(Loaded(kinds, self.models(mm), reserved, staged))
            return result

        changed = {
            "get_torch_device": lambda: GPU,
            "text_encoder_device": lambda: GPU if self.state == "NORMAL_VRAM" else CPU,
            "vae_device": lambda: CPU if self.cpu_vae else GPU,
            "is_device_cpu": lambda device: device == CPU,
            "get_free_memory": free,
            "get_total_memory": lambda device=None, torch_total_too=False: (
                (self.limit, self.limit) if torch_total_too else self.limit
            ),
            "vram_state": getattr(mm.VRAMState, self.state),
            "load_models_gpu": logged,
        }
        if self.least is not None:
            changed["minimum_inference_memory"] = lambda: self.least
            changed["extra_reserved_memory"] = lambda: 0
        if self.half:
            changed |= {f"should_use_{kind}16": lambda *_, **__: True for kind in ("fp", "bf")}
        with ExitStack() as stack:
            for name, value in changed.items():
                stack.enter_context(mock.patch.object(mm, name, value))
            if self.dynamic:
                import comfy.model_patcher as patchers
                import comfy_aimdo.host_buffer
                import comfy_aimdo.model_vbar

                for place, name, value in (
                    (patchers, "CoreModelPatcher", patchers.ModelPatcherDynamic),
                    (comfy_aimdo.model_vbar, "ModelVBAR", OnDemand),
                    (comfy_aimdo.host_buffer, "HostBuffer", NoPins),
                ):
                    stack.enter_context(mock.patch.object(place, name, value))
            yield self
            mm.unload_all_models()
        assert reserve is mm.extra_reserved_memory

    def used(self, mm) -> int:
        """Bytes of weights that are loaded."""
        return sum(self.models(mm).values())

    @staticmethod
    def models(mm) -> dict[str, int]:
        """Kind -> bytes, of what is loaded on the GPU."""
        found: dict[str, int] = {}
        for loaded in mm.current_loaded_models:
            if loaded.model is not None and loaded.device == GPU:
                kind = type(loaded.model.model).__name__
                found[kind] = found.get(kind, 0) + int(loaded.model_loaded_memory())
        return {kind: size for kind, size in found.items() if size}
