"""The latent of a loop: a tensor that ComfyUI's nodes pass on as the latent of a loop.

A sampler hands MODEL and VAE the tensor of a LATENT, not its other entries. So the fact is a class
of the tensor: native samplers and VAE Decode Audio treat a loop as one, too.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import Tensor

from .audio_latent import AudioLatent, audio_latent


class LoopLatent(AudioLatent):
    """Latents `b c t` whose last frame is followed by the first one.

    What torch makes of them is the latent of a loop as long as it has the same frames: copies,
    other devices and dtypes, items of a batch, sums. A part of the frames is an ordinary tensor.
    """

    @classmethod
    def __torch_function__(
        cls,
        func: Callable,
        types: Sequence[type],
        args: tuple = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        made = super().__torch_function__(func, types, args, kwargs or {})
        if not isinstance(made, LoopLatent):
            return made
        frames = {a.shape[-1] for a in _flat(args) if isinstance(a, LoopLatent) and a.ndim == 3}
        return made if {made.shape[-1]} == frames else audio_latent(made)


def _flat(args: Sequence[Any]) -> list[Any]:
    return [a for arg in args for a in (arg if isinstance(arg, list | tuple) else [arg])]


def loop_latent(samples: Tensor) -> LoopLatent:
    """Latents `b c t` as those of a loop."""
    return samples.as_subclass(LoopLatent)


def is_loop(samples: Tensor) -> bool:
    """Whether these are the latents of a loop."""
    return isinstance(samples, LoopLatent)


def with_loops(callback: Callable) -> Callable:
    """The callback of a sampler that gets the denoised estimate as the latent of a loop.

    SamplerCustomAdvanced keeps it for `denoised_output`.
    """

    def called(step: int, denoised: Tensor, *others: Any) -> Any:
        return callback(step, loop_latent(denoised), *others)

    return called
