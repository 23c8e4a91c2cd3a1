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

from ...checkpoint import Checkpoint
from ...models import DiT
from ...training.batches import Batch
from ...training.diffusion_stage import Denoising, DiffusionStage
from ...training.objective import noised_and_target
from ...training.rng import seeded
from .position_init import clock, init_cross_attention, init_values

SHOWN, AT_ONCE = 64, 16  # clips that tell the transformer where to look


class EncoderPretraining(Denoising):
    """Conditioners, and the loss of guessing latents from their tokens; the transformer waits."""

    def __init__(self, checkpoint: Checkpoint, seed: int) -> None:
        model, config = checkpoint.backbone, checkpoint.config
        super().__init__(model, checkpoint.conditioners, config.objective)
        seen, read = config.video.clip.width, config.text.width
        grid, places = config.latent, config.video.tokens
        self.conditioned = grid.conditioned_frames  # latent frames
        self.places = (
            (torch.arange(places) + 0.5) * grid.conditioned_frames / places
        )  # of the tokens
        self.clock = clock(model, self.places) if isinstance(model, DiT) else torch.zeros(places, 0)
        with seeded(seed):
            self.heads = nn.ModuleDict({
                "course": nn.Linear(seen, grid.channels),
                "level": nn.Linear(read, grid.channels),
            })  # fmt: skip
            if self.clock.shape[1]:
                self.heads["place"] = nn.Linear(seen, self.clock.shape[1])

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Of pictures what is heard when, of a text how strong each channel is.

        By linear maps: what has to be worked out of a token, a transformer hardly finds in it.
        """
        latent = batch.latent[..., : self.conditioned]
        seen = self.video_tokens(batch)
        course = interpolate(self.heads["course"](seen).mT, size=self.conditioned, mode="linear")
        course = course[..., : latent.shape[2]]
        words = self.text_tokens(batch)  # zero where hidden or behind the last one
        count = words.any(dim=2).sum(dim=1, keepdim=True).clamp(min=1)
        read = words.sum(dim=1) / count
        video = mse_loss(course, latent)
        text = mse_loss(self.heads["level"](read), latent.std(dim=2))
        losses = {"video": video, "text": text}
        if "place" in self.heads:
            missed = self.heads["place"](seen) - self.clock.to(seen)
            losses["place"] = missed.square().sum(dim=2).mean()
        return {"loss": sum(losses.values()), **losses}


class EncodersStage(DiffusionStage):
    """As the stage `diffusion`; but what learns is what feeds the transformer."""

    module: EncoderPretraining

    def save(self, folder: Path, weights: Mapping[str, Tensor], record: Mapping[str, Any]) -> Path:
        """Write `model.safetensors`; its transformer knows nothing but where to look."""
        module = deepcopy(self.module)
        module.load_state_dict(dict(weights), strict=False)
        if isinstance(module.model, DiT):
            self._show(module)
        shown = {f"model.{name}": weight for name, weight in module.model.state_dict().items()}
        return super().save(folder, dict(weights) | shown, record)

    @torch.no_grad()
    def _show(self, module: EncoderPretraining) -> None:
        clips = min(SHOWN, self.batches.items_per_step)  # of a step
        batches = [
            self.batch(step, range(first, min(first + AT_ONCE, clips)))[0]
            for step in range(SHOWN // clips)
            for first in range(0, clips, AT_ONCE)
        ]
        seen = torch.cat([module.video_tokens(batch)[batch.with_video] for batch in batches])
        if not len(seen):  # no pictures to look at
            read = torch.cat([module.text_tokens(batch) for batch in batches])
            init_values(module.model, read[read.any(dim=2)])
            return
        noised = [noised_and_target(b.latent, b.noise, b.t, module.objective)[0] for b in batches]
        times, places = torch.cat([b.t for b in batches]), module.places.to(self.device)
        init_cross_attention(module.model, seen, places, torch.cat(noised), times)
