"""The stage `encoders`: who reads and who looks learn before the transformer does.

The release's T5 and CLIP came trained. Those of a model from scratch learn here to guess the
sound from their tokens alone: in minutes what a transformer that is new, too, takes hours to ask
them for. The heads that guess are thrown away, and the transformer begins by looking where the
tokens speak of its own moment. Axes as in `batches.py`.
"""

from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, mse_loss

from ..conditioners.assemble import Conditioners
from ..config import AudioXConfig
from ..models import Backbone, DiT
from .batches import Batch
from .diffusion_stage import Denoising, DiffusionStage
from .init import seeded
from .objective import noised_and_target
from .positions import begin_looking

WIDTH = 256  # of what guesses
SHOWN = 4  # steps whose clips tell the transformer where to look


class Guessing(Denoising):
    """Conditioners, and the loss of guessing latents from their tokens; the transformer waits."""

    def __init__(
        self, model: Backbone, conditioners: Conditioners, config: AudioXConfig, seed: int
    ) -> None:
        super().__init__(model, conditioners, config.objective)
        seen, read = config.video.clip.width, config.text.width
        grid = config.latent
        self.described = grid.samples(grid.described_seconds) // grid.hop_length  # latent frames
        with seeded(seed):
            self.heads = nn.ModuleDict({
                "seen": nn.Sequential(nn.LayerNorm(seen), nn.Linear(seen, WIDTH), nn.GELU()),
                "course": nn.Conv1d(WIDTH, grid.channels, 5, padding=2),
                "level": nn.Linear(read, grid.channels),
            })  # fmt: skip

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Of pictures what is heard when, of a text how strong each channel is."""
        latent = batch.latent[..., : self.described]
        seen = self.heads["seen"](self.video_tokens(batch)).mT
        course = self.heads["course"](interpolate(seen, size=self.described, mode="linear"))
        read = self.text_tokens(batch).sum(dim=1) / batch.words.sum(dim=1, keepdim=True)
        video = mse_loss(course, latent)
        text = mse_loss(self.heads["level"](read), latent.std(dim=2))
        return {"loss": video + text, "video": video, "text": text}


class EncodersStage(DiffusionStage):
    """As the stage `diffusion`; but what learns is what feeds the transformer."""

    module: Guessing

    def save(self, folder: Path, weights: Mapping[str, Tensor], record: Mapping[str, Any]) -> Path:
        """Write `model.safetensors`; its transformer knows nothing but where to look."""
        module = deepcopy(self.module)
        module.load_state_dict(dict(weights), strict=False)
        if isinstance(module.model, DiT):
            self._show(module)
        shown = {f"model.{name}": weight for name, weight in module.model.state_dict().items()}
        return super().save(folder, dict(weights) | shown, record)

    @torch.no_grad()
    def _show(self, module: Guessing) -> None:
        tokens, noised, times = [], [], []
        for step in range(SHOWN):
            (batch,) = self.batch(step, range(self.batches.every))
            tokens.append(module.video_tokens(batch)[batch.seen])
            noised.append(
                noised_and_target(batch.latent, batch.noise, batch.t, module.objective)[0]
            )
            times.append(batch.t)
        seen = torch.cat(tokens)
        middles = (torch.arange(seen.shape[1], device=seen.device) + 0.5) / seen.shape[1]
        begin_looking(
            module.model, seen, middles * module.described, torch.cat(noised), torch.cat(times)
        )
