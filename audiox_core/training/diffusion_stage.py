"""The stage `diffusion`: the transformer and its conditioners, with the paper's masked training.

The same modules and the same meaning of a mask as in generation. Axes as in `batches.py`.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..conditioners.assemble import Conditioners, fuse, join
from ..conditioners.audio import AudioConditioner
from ..conditioners.masking import hide_tokens, replace_absent
from ..errors import SettingsError
from ..models import Backbone, MMDiT
from .batches import Batch, Batches
from .config import DiffusionConfig
from .distributed import Distributed
from .export import ModelFile
from .objective import diffusion_loss

# in the files and never used, or constants of the release
UNUSED = ("to_global_embed.", "post_layernorm.", "visual_projection.")
UNUSED_MMDIT = (*UNUSED, "model.to_cond_embed.", "cross_attn.to_q.")


class Denoising(nn.Module):
    """Transformer and conditioners, and the loss of a batch."""

    def __init__(
        self, model: Backbone, conditioners: Conditioners, objective: str, balance: float = 0.0
    ) -> None:
        super().__init__()
        self.model, self.conditioners, self.objective = model, conditioners, objective
        self.balance = balance

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """The loss of a batch."""
        loss, _ = diffusion_loss(
            self.model,
            batch.latent,
            self.tokens(batch),
            noise=batch.noise,
            t=batch.t,
            unconditional=batch.unconditional,
            objective=self.objective,
            balance=self.balance,
        )
        return {"loss": loss}

    def tokens(self, batch: Batch) -> Tensor:
        """Condition tokens of every clip, `b s d`."""
        parts = {
            "video": self.video_tokens(batch),
            "text": self.text_tokens(batch),
            "audio": self.audio_tokens(batch),
        }
        maf = self.conditioners.maf
        return join(**parts) if maf is None else fuse(maf, **parts)

    def text_tokens(self, batch: Batch) -> Tensor:
        """Tokens of the captions; of the empty prompt where they are absent."""
        conditioner = self.conditioners.text
        empty_ids, empty_mask = conditioner.tokenize([""])
        ids = torch.cat([batch.ids, empty_ids.to(batch.ids)])
        mask = torch.cat([batch.text_mask, empty_mask.to(batch.text_mask)])
        tokens = conditioner(ids, mask)
        hidden = hide_tokens(tokens[:-1], batch.hidden_text)
        return replace_absent(hidden, tokens[-1:], batch.absent["text"])

    def video_tokens(self, batch: Batch) -> Tensor:
        """Tokens of the pictures; the learned ones where they are absent, without running CLIP."""
        conditioner = self.conditioners.video
        absent = conditioner.empty_visual_feat
        tokens = absent.new_zeros(len(batch.latent), *absent.shape[1:])
        if len(batch.with_video):
            pictures = batch.pictures
            if pictures.dtype == torch.uint8:
                states = conditioner.clip_states(pictures.flatten(0, 1))
                pictures = states.unflatten(0, pictures.shape[:2])
            absent_rows = torch.zeros_like(batch.with_video, dtype=torch.bool)
            encoded = conditioner.project_states(pictures, batch.sync, absent_rows)
            tokens = tokens.index_copy(0, batch.with_video, encoded.to(tokens))
        return replace_absent(tokens, absent, batch.absent["video"])

    def audio_tokens(self, batch: Batch) -> Tensor:
        """Tokens of the audio prompts; if absent the learned ones, or those of silence."""
        conditioner = self.conditioners.audio
        tokens = conditioner.project(batch.prompt)
        if not isinstance(conditioner, AudioConditioner):
            return tokens
        return replace_absent(tokens, conditioner.empty_audio_feat, batch.absent["audio"])


class DiffusionStage:
    """Batches of cached clips, the modules that learn from them, and their file."""

    unused_weights = True  # of a batch without a picture

    def __init__(
        self, module: Denoising, batches: Batches, dist: Distributed, model_file: ModelFile
    ) -> None:
        self.batches, self.device, self.model_file = batches, dist.device, model_file
        # eval: dropout, which T5 and the fusion have, would need a random state to be saved
        self.module = module.eval().to(dist.device)

    def batch(self, step: int, items: range) -> tuple[Batch]:
        """Some items of a step."""
        return (self.batches.batch(step, items).to(self.device),)

    def save(self, folder: Path, weights: Mapping[str, Tensor], record: Mapping[str, Any]) -> Path:
        """Write `model.safetensors`."""
        state = self.module.state_dict() | dict(weights)
        return self.model_file.write(folder / "model.safetensors", state, record)


def choose_trained(module: Denoising, config: DiffusionConfig, *, transformer: bool = True) -> None:
    """Set which weights learn.

    Args:
        module: whose weights are set.
        config: which parts learn.
        transformer: whether the transformer learns, but for `config.frozen`.

    Raises:
        SettingsError: a prefix in `config.frozen` is that of no weight.
    """
    names = [name for name, _ in module.model.named_parameters()]
    for prefix in config.frozen:
        if not any(name.startswith(prefix) for name in names):
            raise SettingsError(
                f"diffusion.frozen contains {prefix!r}, but no weight of the transformer starts "
                f"with it; some names are {', '.join(names[:4])}."
            )
    unused = UNUSED_MMDIT if isinstance(module.model, MMDiT) else UNUSED
    kinds = (  # the first prefix that fits decides
        ("conditioners.sync.", False),
        ("conditioners.audio.vae.", False),
        ("conditioners.text.", config.train_text),
        ("conditioners.video.visual_encoder_model.", config.train_clip),
        ("conditioners.video.", config.train_video),
        ("conditioners.", config.train_conditioners),
        *((f"model.{part}", False) for part in config.frozen),
        ("model.", transformer),
        ("heads.", True),
    )
    for name, parameter in module.named_parameters():
        trained = next(learns for start, learns in kinds if name.startswith(start))
        constant = any(part in name for part in unused) or (  # the release's `beta`s are no weights
            name.startswith("model.") and name.endswith("norm.bias")
        )
        parameter.requires_grad_(trained and not constant)
