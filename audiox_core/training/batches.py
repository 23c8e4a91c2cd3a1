"""Cached clips -> the batches of all stages but `vae`, with all chance of a step drawn.

Axes: `b` clips of the batch, `p` those of them that have a picture, `c` channels, `t` latent
frames, `s` tokens, `f` video frames, `q` tokens of a frame, `d` width, `h w` pixels.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, fields

import torch
from torch import Tensor

from ..conditioners.audio import HIDDEN_MEL
from ..conditioners.masking import hide_patches
from ..conditioners.text import MAX_CHARACTERS, TextConditioner
from ..config import AudioXConfig
from ..errors import SettingsError
from .config import TrainConfig
from .features import Cache
from .mask_sampler import Masks, draw_masks
from .objective import TimestepSampler
from .rng import Order, generator, noise

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Batch:
    """What a step's loss is computed from."""

    latent: Tensor  # `b c t`, drawn from its posterior
    noise: Tensor  # `b c t`
    t: Tensor  # diffusion times, `b`
    ids: Tensor  # of the caption, `b s`
    words: Tensor  # which of them are tokens, not padding, `b s` bool
    hidden_text: Tensor  # `b s` bool
    pictures: Tensor  # uint8 `p f 3 h w`, or what CLIP saw `p f q d`; without the hidden patches
    sync: Tensor | None  # `p s d`
    seen: Tensor  # which clips the pictures belong to, `p`
    prompt: Tensor  # latents `b c t` or a log-mel `b f t`, without what is hidden
    absent: dict[str, Tensor]  # "video", "text", "audio" -> `b` bool
    unconditional: Tensor  # `b` bool

    def to(self, device: torch.device) -> "Batch":
        """The batch on a device."""

        def move(value: Tensor | dict[str, Tensor] | None) -> Tensor | dict[str, Tensor] | None:
            if isinstance(value, dict):
                return {name: move(tensor) for name, tensor in value.items()}
            return None if value is None else value.to(device)

        return Batch(**{item.name: move(getattr(self, item.name)) for item in fields(self)})


@dataclass(frozen=True)
class Silence:
    """The posterior of a silent prompt, `c t` each; or a hidden spectrogram, without spread."""

    mean: Tensor
    std: Tensor

    @classmethod
    def mel(cls, filters: int, columns: int) -> "Silence":
        """What hidden columns of a spectrogram were to AudioX-MAF."""
        mean = torch.full((filters, columns), HIDDEN_MEL)
        return cls(mean, torch.zeros_like(mean))


class Batches:
    """Batches by step. The same step and items: the same numbers, in every process and run."""

    def __init__(
        self, cache: Cache, config: TrainConfig, model: AudioXConfig, text: TextConditioner, *,
        silence: Silence, items_per_step: int,
    ) -> None:  # fmt: skip
        self.cache, self.config, self.model, self.silence = cache, config, model, silence
        self.every = items_per_step
        self.order = Order(config.run.seed, len(cache))
        self.ids, self.words, self.rows = tokenized(text, cache.captions)
        self.times = self._times()
        self.drawn = 0  # times so far
        self.step: tuple[int, Masks, Tensor] | None = None

    def batch(self, step: int, items: range) -> Batch:
        """Some items of a step."""
        masks, times = self._of_step(step)
        chosen = torch.tensor([*items])
        clips = [self.order.clip(step * self.every + item) for item in items]
        kept = [self.cache[clip] for clip in clips]
        rows = torch.tensor([self.rows[clip] for clip in clips])
        absent = {name: hidden[chosen] for name, hidden in masks.absent.items()}
        absent["video"] |= torch.tensor([not ({"frames", "clip"} & k.keys()) for k in kept])
        absent["audio"] |= torch.tensor(
            [not ({"prompt_mean", "prompt_mel"} & k.keys()) for k in kept]
        )
        latent = self._drawn("latent", step, items, [(k["mean"], k["std"]) for k in kept])
        seen = (~absent["video"]).nonzero()[:, 0]
        pictures, sync = self._pictures([kept[i] for i in seen], masks.patches[chosen[seen]])
        shape = tuple(latent.shape[1:])
        return Batch(
            latent=latent,
            noise=noise(shape, self.config.run.seed, "noise", step, items=items),
            t=times[chosen],
            ids=self.ids[rows],
            words=self.words[rows],
            hidden_text=masks.text[chosen],
            pictures=pictures,
            sync=sync,
            seen=seen,
            prompt=self._prompts(step, items, kept, masks),
            absent=absent,
            unconditional=masks.unconditional[chosen],
        )

    def _times(self) -> TimestepSampler:
        return TimestepSampler(self.config.run.seed, self.config.diffusion.timestep_skew)

    def _of_step(self, step: int) -> tuple[Masks, Tensor]:
        """Masks and times of all items of a step."""
        if self.step is None or self.step[0] != step:
            clip = self.model.video.clip
            masks = draw_masks(
                self.config.masks,
                self.every,
                grid=clip.image // clip.patch,
                tokens=self.model.text_tokens,
                generator=generator(self.config.run.seed, "masks", step),
            )
            if step * self.every < self.drawn:
                self.times, self.drawn = self._times(), 0
            if step * self.every > self.drawn:
                self.times.skip(step * self.every - self.drawn)
            self.step = (step, masks, self.times.draw(self.every))
            self.drawn = (step + 1) * self.every
        return self.step[1:]

    def _drawn(
        self, name: str, step: int, items: range, posteriors: Sequence[tuple[Tensor, Tensor]]
    ) -> Tensor:
        means, stds = (torch.stack(parts).float() for parts in zip(*posteriors, strict=True))
        unit = noise(tuple(means.shape[1:]), self.config.run.seed, name, step, items=items)
        return means + stds * unit

    def _pictures(
        self, kept: Sequence[dict[str, Tensor]], patches: Tensor
    ) -> tuple[Tensor, Tensor | None]:
        if not kept:
            return torch.zeros(0), None
        sync = torch.stack([k["sync"] for k in kept]) if "sync" in kept[0] else None
        if "clip" in kept[0]:
            return torch.stack([k["clip"] for k in kept]).float(), sync
        return hide_patches(torch.stack([k["frames"] for k in kept]), patches), sync

    def _prompts(
        self, step: int, items: range, kept: Sequence[dict[str, Tensor]], masks: Masks
    ) -> Tensor:
        """Prompts with the hidden spans silent, and silence where there is none.

        Silence is put in where samples have become latents, for that is what is cached: a frame
        within the reach of the encoder (ten frames) still knows a little of what was hidden.
        """
        posteriors = []
        for item, clip in zip(items, kept, strict=True):
            mean, std = self.silence.mean, self.silence.std
            if "prompt_mel" in clip:
                mean, std = clip["prompt_mel"].float(), torch.zeros_like(self.silence.std)
            elif "prompt_mean" in clip:
                mean, std = clip["prompt_mean"].float(), clip["prompt_std"].float()
            if masks.absent["audio"][item]:
                mean, std = self.silence.mean, self.silence.std
            if (span := masks.sound[item]) is not None:
                begin, end = (round(share * mean.shape[-1]) for share in span)
                hidden = torch.zeros(mean.shape[-1], dtype=torch.bool)
                hidden[begin:end] = True
                mean = torch.where(hidden, self.silence.mean, mean)
                std = torch.where(hidden, self.silence.std, std)
            posteriors.append((mean, std))
        return self._drawn("prompt", step, items, posteriors)


def tokenized(text: TextConditioner, captions: Sequence[str]) -> tuple[Tensor, Tensor, list[int]]:
    """Ids and mask `k s` of the different captions, and the row of each; row 0 is the empty one."""
    rows, unreadable = {"": 0}, 0
    tables = [text.tokenize([""])]
    of_each = []
    for caption in captions:
        cut = caption[:MAX_CHARACTERS]
        if cut not in rows:
            try:
                tables.append(text.tokenize([cut]))
                rows[cut] = len(tables) - 1
            except SettingsError:
                rows[cut] = 0
        unreadable += bool(cut) and rows[cut] == 0
        of_each.append(rows[cut])
    if unreadable:
        logger.warning("%d captions cannot be read by the tokenizer: taken as none.", unreadable)
    ids, words = (torch.cat(parts) for parts in zip(*tables, strict=True))
    return ids, words, of_each
