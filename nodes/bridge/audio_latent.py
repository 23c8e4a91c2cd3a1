"""The latents of a sound: a tensor with which nodes for pictures fail with a sentence."""

import re
from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import Any

import torch
from torch import Tensor

from ...audiox_core.errors import SettingsError

# what PyTorch says where the latents `b c t` are taken for a picture `b c h w`
OF_PICTURES = re.compile(
    r"out of range|too many indices|number of spatial dimensions|Given groups|Rotation dim"
)


FOR_PICTURES = (
    "This node changes pictures, and the latents of a sound (batch, channels, frames) have no"
    " height: remove it. For another length, use AudioX Empty Latent; for a part of the sound,"
    " LatentCut or AudioX Inpaint Latent; to mix sounds, AudioX Mix."
)


class _Axes(tuple[int, ...]):
    """The shape of the latents of a sound; asking for a fourth axis fails with the sentence."""

    def __getitem__(self, index: Any) -> Any:
        try:
            return super().__getitem__(index)
        except IndexError as error:
            raise SettingsError(FOR_PICTURES) from error

    def numel(self) -> int:
        return prod(self)


class AudioLatent(Tensor):
    """Latents `b c t`; what torch makes of them with three axes is of this class again."""

    @classmethod
    def __torch_function__(
        cls,
        func: Callable,
        types: Sequence[type],
        args: tuple = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        try:
            made = super().__torch_function__(func, types, args, kwargs or {})
        except (IndexError, RuntimeError, ValueError) as error:
            if not OF_PICTURES.search(str(error)):
                raise
            raise SettingsError(FOR_PICTURES) from error
        if isinstance(made, torch.Size):
            return _Axes(made)
        return plain(made) if isinstance(made, AudioLatent) and made.ndim != 3 else made


def audio_latent(samples: Tensor) -> AudioLatent:
    """Latents `b c t` as those of a sound."""
    return samples.as_subclass(AudioLatent)


def plain(samples: Tensor) -> Tensor:
    """The same latents as an ordinary tensor."""
    with torch._C.DisableTorchFunctionSubclass():  # which would give the result the class again
        return samples.as_subclass(Tensor)
