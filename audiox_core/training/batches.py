"""Cached clips -> the batches of all stages but `vae`, with all random numbers of a step drawn.

Axes: `b` clips of the batch, `p` those of them with a picture, `c` channels, `t` latent frames,
`s` tokens, `f` video frames, `q` tokens of a frame, `d` width, `h w` pixels.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.utils._pytree import tree_map_only

from ..conditioners.inputs import MAX_CHARACTERS
from ..conditioners.masking import hide_patches
from ..conditioners.text import TextConditioner
from ..config import AudioXConfig
from ..errors import SettingsError
from .config import TrainConfig
from .features import Cache
from .mask_sampler import Masks, draw_masks
from .objective import TimestepSampler
from .rng import clip_at, generator, noise

logger = logging.getLogger(__name__)

Posterior = tuple[Tensor, Tensor]  # mean and standard deviation


@dataclass(frozen=True)
class Batch:
    """What the loss of a step is computed from."""

    latent: Tensor  # `b c t`, drawn from its posterior
    noise: Tensor  # `b c t`
    t: Tensor  # diffusion times, `b`
    ids: Tensor  # of the caption's tokens, `b s`
    text_mask: Tensor  # which of them are tokens, not padding, `b s` bool
    hidden_text: Tensor  # `b s` bool
    pictures: Tensor  # uint8 `p f 3 h w`, or CLIP's states `p f q d`; without the hidden patches
    sync: Tensor | None  # `p s d`
    with_video: Tensor  # the clips that the pictures belong to, `p`
    prompt: Tensor  # latents `b c t` or a log-mel `b f t`, without what is hidden
    absent: dict[str, Tensor]  # "video", "text", "audio" -> `b` bool
    unconditional: Tensor  # `b` bool

    def to(self, device: torch.device) -> "Batch":
        """The batch on a device."""
        return Batch(**tree_map_only(Tensor, lambda tensor: tensor.to(device), vars(self)))


class Batches:
    """Batches by step. The same step and items: the same numbers, in every process and run."""

    def __init__(
        self,
        cache: Cache,
        config: TrainConfig,
        model: AudioXConfig,
        text: TextConditioner,
        *,
        silence: Posterior,
        items_per_step: int,
    ) -> None:
        self.cache, self.config, self.model, self.silence = cache, config, model, silence
        self.items_per_step = items_per_step
        self.ids, self.text_mask, self.rows = tokenized(text, cache.captions)
        self.timesteps = TimestepSampler(config.run.seed, config.diffusion.timestep_skew)
        self._step: tuple[int, Masks, Tensor] | None = None

    def batch(self, step: int, items: range) -> Batch:
        """Some items of a step."""
        masks, times = self._masks_and_times(step)
        chosen = torch.tensor([*items])
        clips = [self.clip_of(step, item) for item in items]
        kept = [self.cache[clip] for clip in clips]
        rows = torch.tensor([self.rows[clip] for clip in clips])
        absent = {name: hidden[chosen] for name, hidden in masks.absent.items()}
        absent["video"] |= torch.tensor([not ({"frames", "clip"} & k.keys()) for k in kept])
        has_prompt = [bool({"prompt_mean", "prompt_mel"} & k.keys()) for k in kept]
        absent["audio"] |= ~torch.tensor(has_prompt)
        latent = self._drawn("latent", step, items, [(k["mean"], k["std"]) for k in kept])
        with_video = (~absent["video"]).nonzero()[:, 0]
        patches = masks.patches[chosen[with_video]]
        pictures, sync = _pictures([kept[i] for i in with_video], patches)
        return Batch(
            latent=latent,
            noise=self._noise("noise", step, items, latent),
            t=times[chosen],
            ids=self.ids[rows],
            text_mask=self.text_mask[rows],
            hidden_text=masks.text[chosen],
            pictures=pictures,
            sync=sync,
            with_video=with_video,
            prompt=self._drawn(
                "prompt", step, items, [*map(self._prompt, items, kept, [masks] * len(kept))]
            ),
            absent=absent,
            unconditional=masks.unconditional[chosen],
        )

    def clip_of(self, step: int, item: int) -> int:
        """The number of the cached clip that is an item of a step."""
        position = step * self.items_per_step + item
        return clip_at(position, len(self.cache), self.config.run.seed)

    def _masks_and_times(self, step: int) -> tuple[Masks, Tensor]:
        """Masks and times of all items of a step; those of the last one are kept."""
        if self._step is None or self._step[0] != step:
            clip = self.model.video.clip
            masks = draw_masks(
                self.config.masks,
                self.items_per_step,
                patches_per_side=clip.image // clip.patch,
                tokens=self.model.text_tokens,
                generator=generator(self.config.run.seed, "masks", step),
            )
            self.timesteps.seek(step * self.items_per_step)
            self._step = (step, masks, self.timesteps.draw(self.items_per_step))
        return self._step[1:]

    def _noise(self, name: str, step: int, items: range, like: Tensor) -> Tensor:
        return noise(tuple(like.shape[1:]), self.config.run.seed, name, step, items=items)

    def _drawn(self, name: str, step: int, items: range, posteriors: Sequence[Posterior]) -> Tensor:
        means, stds = (torch.stack(parts).float() for parts in zip(*posteriors, strict=True))
        return means + stds * self._noise(name, step, items, means)

    def _prompt(self, item: int, clip: dict[str, Tensor], masks: Masks) -> Posterior:
        """A prompt with its hidden span silent; silence if there is none.

        Latents are what is cached, so the silence replaces latents, not samples: a frame within
        the receptive field of the encoder (ten frames) still knows a little of what was hidden.
        """
        mean, std = self.silence
        if not masks.absent["audio"][item]:  # a spectrogram is exact, as silence is
            mean = clip.get("prompt_mean", clip.get("prompt_mel", mean)).float()
            std = clip.get("prompt_std", std).float()
        if (span := masks.sound[item]) is not None:
            begin, end = (round(share * mean.shape[-1]) for share in span)
            at = torch.arange(mean.shape[-1])
            hidden = (begin <= at) & (at < end)
            mean = torch.where(hidden, self.silence[0], mean)
            std = torch.where(hidden, self.silence[1], std)
        return mean, std


def _pictures(kept: Sequence[dict[str, Tensor]], patches: Tensor) -> tuple[Tensor, Tensor | None]:
    if not kept:
        return torch.zeros(0), None
    sync = torch.stack([k["sync"] for k in kept]) if "sync" in kept[0] else None
    if "clip" in kept[0]:
        return torch.stack([k["clip"] for k in kept]).float(), sync
    return hide_patches(torch.stack([k["frames"] for k in kept]), patches), sync


def tokenized(text: TextConditioner, captions: Sequence[str]) -> tuple[Tensor, Tensor, list[int]]:
    """Ids and mask `k s` of the different captions, and the row of each; row 0 is the empty one."""
    tables = [text.tokenize([""])]
    rows = {"": 0}
    unreadable = 0
    row_of_each = []
    for caption in captions:
        cut = caption[:MAX_CHARACTERS]
        if cut not in rows:
            try:
                tables.append(text.tokenize([cut]))
                rows[cut] = len(tables) - 1
            except SettingsError:
                rows[cut] = 0
        unreadable += bool(cut) and rows[cut] == 0
        row_of_each.append(rows[cut])
    if unreadable:
        logger.warning(
            "%d captions cannot be read by the tokenizer: they are treated as empty.", unreadable
        )
    ids, text_mask = (torch.cat(parts) for parts in zip(*tables, strict=True))
    return ids, text_mask, row_of_each
