"""Models of released size with random weights, built on the device in a second each.

Modules are made on the meta device, given memory and filled there: no file, no copy.
"""

from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import TypeVar

import torch
from torch import nn

from audiox_core.checkpoint.checkpoint_file import Checkpoint
from audiox_core.conditioners.assemble import Conditioners, Conditioning
from audiox_core.conditioners.audio import audio_conditioner
from audiox_core.conditioners.text import TextConditioner
from audiox_core.conditioners.video import VideoConditioner
from audiox_core.config import AudioXConfig
from audiox_core.device import choose_precision
from audiox_core.models import Backbone, backbone
from audiox_core.models.clip import ClipVision
from audiox_core.models.layers import FourierFeatures
from audiox_core.models.maf import MAFBlock
from audiox_core.models.oobleck import Oobleck
from audiox_core.models.synchformer import Synchformer
from audiox_core.models.t5 import T5Encoder
from audiox_core.variants import VARIANTS

from ..toys import make_tokenizer, tiny
from .bench import DTYPES, Bench, Row

M = TypeVar("M", bound=nn.Module)
V1, MAF, MMDIT, TURBO = "audiox", "audiox-maf", "audiox-maf-mmdit", "audiox-turbo"
SMALL = ("project_out.weight", "process_conv.weight")  # keep latents near unit variance


class Zoo:
    """Builds models, and keeps the last ones."""

    def __init__(self, device: torch.device, *, toy: bool) -> None:
        self.device, self.toy = device, toy
        self._kept: dict[tuple[str, str], Backbone] = {}
        self.vae = cache(self._vae)
        self.conditioners = cache(self._conditioners)

    def config(self, variant: str) -> AudioXConfig:
        """Released sizes, or tiny ones."""
        return tiny(variant) if self.toy else VARIANTS[variant]

    def backbone(self, variant: str, precision: str) -> Backbone:
        """A transformer; two are kept."""
        key = (variant, str(DTYPES[precision]))
        if key not in self._kept:
            while len(self._kept) > 1:
                self._kept.pop(next(iter(self._kept)))
            build = partial(backbone, self.config(variant).dit)
            model = filled(build, DTYPES[precision], self.device)
            self._kept[key] = model.requires_grad_(False)
        return self._kept[key]

    def _vae(self, precision: str) -> Oobleck:
        build = partial(Oobleck, self.config(V1).vae)
        return filled(build, DTYPES[precision], self.device, gain=0.5)

    def _conditioners(self, variant: str) -> Conditioners:
        """In the dtypes in which they are loaded."""
        config = self.config(variant)
        make = partial(filled, dtype=torch.float32, device=self.device)
        video, sync = config.video, config.video.sync
        text = make(partial(T5Encoder, config.text))
        return Conditioners(
            TextConditioner(text, config.text_tokens, make_tokenizer()),
            make(lambda: VideoConditioner(video, video.clip.tokens, ClipVision(video.clip))),
            make(partial(audio_conditioner, config)),
            sync=sync
            and filled(
                partial(Synchformer, sync.encoder), choose_precision(self.device).sync, self.device
            ),
            maf=config.maf and make(partial(MAFBlock, config.maf)),
        )

    def checkpoint(self, variant: str, precision: str, vae: str = "float32") -> Checkpoint:
        """All parts; the transformer in `precision`, the VAE in `vae`."""
        return Checkpoint(
            self.conditioners(variant),
            self.backbone(variant, precision),
            self.vae(vae),
            self.config(variant),
            Path("models/audiox/random.safetensors"),
        )

    def conditioning(self, variant: str, windows: int = 1) -> Conditioning:
        """Random tokens; those of the negative branch are zero, as without a negative prompt."""
        config = self.config(variant)
        shape = (1, windows * config.tokens, config.dit.cond_dim)
        positive = torch.randn(shape, generator=torch.Generator().manual_seed(0)).to(self.device)
        return Conditioning(positive, torch.zeros_like(positive), windows=windows)

    def sizes(self, bench: Bench) -> None:
        """Bytes of the weights of every part."""
        for variant in (V1, TURBO, MAF):
            for name in dict.fromkeys((bench.half, "float32")):
                with bench.guard("weights", variant, name):
                    c = self.checkpoint(variant, name, name)
                    parts = {"transformer": c.backbone, "VAE": c.vae, "encoders": c.conditioners}
                    found = {part: weight_bytes(module) for part, module in parts.items()}
                    note = ", ".join(f"{part} {n / 1e9:.2f} GB" for part, n in found.items())
                    bench.add(Row("weights", variant, name, note=note, data=found))


def weight_bytes(module: nn.Module) -> int:
    """Bytes of all parameters."""
    return sum(weight.nbytes for weight in module.parameters())


@torch.no_grad()
def filled(
    build: Callable[[], M], dtype: torch.dtype, device: torch.device, gain: float = 1.0
) -> M:
    """Build a module on the device; weights that keep signals near unit variance.

    They are drawn in float32 and rounded, so that a module is the same in every dtype.
    """
    with torch.device("meta"):
        module = build()
    module = module.to_empty(device=device)
    random = torch.Generator(device=device).manual_seed(0)
    for name, weight in module.named_parameters():
        if weight.ndim == 0:
            weight.fill_(0.5)
        elif weight.ndim == 1:
            weight.fill_(float(name.endswith("weight")))
        else:
            small = 0.1 if name.endswith(SMALL) else gain
            weight.normal_(0, small / weight[0].numel() ** 0.5, generator=random)
    return in_dtype(module, dtype).eval().requires_grad_(False)


def in_dtype(module: M, dtype: torch.dtype) -> M:
    """Convert a module; the frequencies of time stay float32, as when a checkpoint is loaded."""
    times = [part for part in module.modules() if isinstance(part, FourierFeatures)]
    kept = [part.weight.detach().float() for part in times]
    module.to(dtype)
    for part, weight in zip(times, kept, strict=True):
        part.weight = nn.Parameter(weight, requires_grad=False)
    return module
