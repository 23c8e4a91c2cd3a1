"""The stage `encoders`: text and image encoders are trained before the transformer.

The release uses a pretrained T5 and CLIP. The encoders of a model from scratch are trained here to
predict the latents from their tokens with linear heads, and to tell which sound of a batch they
belong to, which takes minutes; together with an untrained transformer it takes hours. The heads are
dropped, and the transformer's cross attention is initialised to attend to the tokens of its own
time. Axes as in `batches.py`.
"""

from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, mse_loss

from ...checkpoint.checkpoint_file import Checkpoint
from ...models import DiT
from ...training.batches import Batch
from ...training.diffusion_stage import Denoising, DiffusionStage
from ...training.objective import noised_and_target
from ...training.rng import seeded
from .contrast import Contrast
from .position_init import clock, init_cross_attention, init_values

SHOWN, AT_ONCE = 64, 16  # clips to initialise cross attention with


class EncoderPretraining(Denoising):
    """Conditioners, and the loss of linear predictions of latents; the transformer is fixed."""

    def __init__(self, checkpoint: Checkpoint, seed: int) -> None:
        model, config = checkpoint.backbone, checkpoint.config
        super().__init__(model, checkpoint.conditioners, config.objective)
        video_width, text_width = config.video.clip.width, config.text.width
        latent, tokens = config.latent, config.video.tokens
        self.conditioned = latent.conditioned_frames
        centres = torch.arange(tokens) + 0.5
        self.positions = centres * self.conditioned / tokens  # of the tokens, in latent frames
        has_clock = isinstance(model, DiT)
        self.clock = clock(model, self.positions) if has_clock else torch.zeros(tokens, 0)
        with seeded(seed):
            self.heads = nn.ModuleDict(
                {
                    "course": nn.Linear(video_width, latent.channels),
                    "level": nn.Linear(text_width, latent.channels),
                    "contrast": Contrast(text_width, video_width, latent.channels),
                }
            )
            if self.clock.shape[1]:
                self.heads["place"] = nn.Linear(video_width, self.clock.shape[1])

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Losses: latents over time from pictures, the deviation of each channel from text, and
        which of the batch's sounds each belongs to.

        The heads of texts and pictures are linear, since a transformer hardly uses what a token
        holds less directly.
        """
        latent = batch.latent[..., : self.conditioned]
        video_tokens = self.video_tokens(batch)
        course = interpolate(
            self.heads["course"](video_tokens).mT, size=self.conditioned, mode="linear"
        )
        course = course[..., : latent.shape[2]]
        text_tokens = self.text_tokens(batch)  # zero if hidden or padding
        count = text_tokens.any(dim=2).sum(dim=1, keepdim=True).clamp(min=1)
        mean = text_tokens.sum(dim=1) / count
        video = mse_loss(course, latent)
        text = mse_loss(self.heads["level"](mean), latent.std(dim=2))
        contrast = self.heads["contrast"](
            mean,
            video_tokens.mean(dim=1),
            batch.latent,
            ~batch.absent["text"] & text_tokens.any(dim=2).any(dim=1),
            ~batch.absent["video"],
        )
        losses = {"video": video, "text": text, "contrast": contrast}
        if "place" in self.heads:
            error = self.heads["place"](video_tokens) - self.clock.to(video_tokens)
            losses["place"] = error.square().sum(dim=2).mean()
        loss: Any = sum(losses.values())
        return {"loss": loss, **losses}


class EncodersStage(DiffusionStage):
    """As the stage `diffusion`, but the conditioners are trained, not the transformer."""

    module: EncoderPretraining

    def save(self, folder: Path, weights: Mapping[str, Tensor], record: Mapping[str, Any]) -> Path:
        """Write `model.safetensors`, with initialised cross attention and no other training."""
        module = deepcopy(self.module)
        module.load_state_dict(dict(weights), strict=False)
        if isinstance(module.model, DiT):
            self._init_transformer(module)
        initial = {f"model.{name}": weight for name, weight in module.model.state_dict().items()}
        return super().save(folder, dict(weights) | initial, record)

    @torch.no_grad()
    def _init_transformer(self, module: EncoderPretraining) -> None:
        clips = min(SHOWN, self.batches.items_per_step)  # of a step
        batches = [
            self.batch(step, range(first, min(first + AT_ONCE, clips)))[0]
            for step in range(SHOWN // clips)
            for first in range(0, clips, AT_ONCE)
        ]
        video = torch.cat([module.video_tokens(batch)[batch.with_video] for batch in batches])
        if not len(video):  # no clip has a picture
            text = torch.cat([module.text_tokens(batch) for batch in batches])
            init_values(module.model, text[text.any(dim=2)])
            return
        noised = [noised_and_target(b.latent, b.noise, b.t, module.objective)[0] for b in batches]
        times, positions = torch.cat([b.t for b in batches]), module.positions.to(self.device)
        init_cross_attention(module.model, video, positions, torch.cat(noised), times)
