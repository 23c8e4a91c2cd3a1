"""Convolutions of a sound that comes in pieces: the numbers of the whole, none computed twice.

Each layer keeps the end of its input until the next piece comes. So the memory does not grow with
the length of the sound, and pieces that fit into a processor's cache are faster than the whole.

Axes: `b` batch, `c` channels, `n` audio samples.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

import torch
from torch import Tensor, nn

# writes what becomes of the first tensor into the second one, which has the same shape
Activate = Callable[[Tensor, Tensor], object]


class Streamed(Protocol):
    """A layer that remembers what it needs of earlier pieces."""

    def __call__(self, piece: Tensor, last: bool) -> Tensor | None:
        """The next piece of the result, or None as long as nothing is complete.

        Args:
            piece: the next one of the input, `b c n`.
            last: no other piece follows.
        """
        ...


def stream(
    layers: Sequence[Streamed], piece: Tensor, last: bool, limit: int | None = None
) -> Iterator[Tensor]:
    """Pass a piece through layers.

    Args:
        layers: in order; each has seen the pieces before this one.
        piece: `b c n`.
        last: no other piece follows.
        limit: a piece of many more numbers than this is cut between two layers; None never cuts.

    Returns:
        The pieces of the result that are complete.
    """
    for index, layer in enumerate(layers, 1):
        made = layer(piece, last)
        if made is None:
            return
        piece = made
        count = 1 if limit is None else round(piece.numel() / limit)
        if count > 1:
            parts = piece.tensor_split(count, dim=-1)
            for number, part in enumerate(parts, 1):
                yield from stream(layers[index:], part, last and number == count, limit)
            return
    yield piece


class StreamedConv:
    """A convolution of stride 1 that keeps the length.

    Args:
        conv: the layer, padded by half its reach.
        activate: what its input goes through first.
    """

    def __init__(self, conv: nn.Conv1d, activate: Activate) -> None:
        self._conv, self._margin = conv, int(conv.padding[0])
        self._input = _Overlapping(activate, self._margin)

    def __call__(self, piece: Tensor, last: bool) -> Tensor | None:
        """As `Streamed`."""
        joined = self._input(piece, last)
        self._input.keep(joined[..., max(0, joined.shape[-1] - 2 * self._margin) :])
        if joined.shape[-1] <= 2 * self._margin:
            # the last piece may have become empty before
            return piece.new_empty(len(piece), self._conv.out_channels, 0) if last else None
        made = self._conv(joined)  # the layer's own padding reaches into the margins only
        return made[..., self._margin : made.shape[-1] - self._margin]


class StreamedTransposedConv:
    """A transposed convolution whose kernel is twice its stride.

    Args:
        conv: the layer.
        activate: what its input goes through first.
    """

    def __init__(self, conv: nn.ConvTranspose1d, activate: Activate) -> None:
        self._conv, self._input = conv, _Overlapping(activate)
        self._margin = conv.stride[0] - int(conv.padding[0])  # has a part from the next piece, too
        self._begun = False

    def __call__(self, piece: Tensor, last: bool) -> Tensor | None:
        """As `Streamed`."""
        joined = self._input(piece, last)
        self._input.keep(joined[..., -1:])
        if not last and joined.shape[-1] == 1:
            return None
        made = self._conv(joined)
        begin = self._margin if self._begun else 0
        self._begun = True
        return made[..., begin : made.shape[-1] - (0 if last else self._margin)]


class StreamedStridedConv:
    """A strided convolution whose kernel is twice its stride.

    Args:
        conv: the layer.
        activate: what its input goes through first.
    """

    def __init__(self, conv: nn.Conv1d, activate: Activate) -> None:
        self._conv, self._input = conv, _Overlapping(activate)
        self._stride, self._padding = conv.stride[0], int(conv.padding[0])
        self._begun = 0  # 1 as soon as the kept input begins a stride before the next result

    def __call__(self, piece: Tensor, last: bool) -> Tensor | None:
        """As `Streamed`."""
        joined = self._input(piece, last)
        complete = (joined.shape[-1] + self._padding) // self._stride - 1  # without its padding
        if not last and complete <= self._begun:
            self._input.keep(joined)
            return None
        made = self._conv(joined)
        begin, self._begun = self._begun, 1
        self._input.keep(joined[..., (complete - 1) * self._stride :])
        return made[..., begin : made.shape[-1] if last else complete]


class Joined:
    """Joins pieces until they have a number of numbers."""

    def __init__(self, numbers: int) -> None:
        """Begin a sound.

        Args:
            numbers: of a piece, at least, but for the last one.
        """
        self._numbers, self._parts = numbers, list[Tensor]()

    def __call__(self, piece: Tensor, last: bool) -> Tensor | None:
        """As `Streamed`."""
        self._parts.append(piece)
        if not last and sum(part.numel() for part in self._parts) < self._numbers:
            return None
        joined, self._parts = torch.cat(self._parts, dim=-1), []
        return joined


class _Overlapping:
    """Activates pieces and puts what is kept of those before in front of them."""

    def __init__(self, activate: Activate, padding: int = 0) -> None:
        """Begin a sound.

        Args:
            activate: of each piece.
            padding: zeros at both ends of the sound.
        """
        self._activate, self._padding = activate, padding
        self._kept: Tensor | None = None

    def __call__(self, piece: Tensor, last: bool) -> Tensor:
        """What is kept, and the activated piece, `b c n`."""
        shape = piece.shape[:2]
        kept = piece.new_zeros(*shape, self._padding) if self._kept is None else self._kept
        begin, stop = kept.shape[-1], kept.shape[-1] + piece.shape[-1]
        joined = piece.new_empty(*shape, stop + (self._padding if last else 0))
        joined[..., :begin], joined[..., stop:] = kept, 0
        self._activate(piece, joined[..., begin:stop])
        return joined

    def keep(self, end: Tensor) -> None:
        """Keep a copy of the end of what was joined, `b c n`."""
        self._kept = end.clone()


class StreamedResidual:
    """Layers whose input is added to their result, which is as long."""

    def __init__(self, *layers: Streamed) -> None:
        self._layers = layers
        self._waiting: Tensor | None = None  # the end of the input, not yet added

    def __call__(self, piece: Tensor, last: bool) -> Tensor | None:
        """As `Streamed`."""
        made: Tensor | None = piece
        for layer in self._layers:
            made = None if made is None else layer(made, last)
        whole = piece if self._waiting is None else torch.cat([self._waiting, piece], dim=-1)
        complete = 0 if made is None else made.shape[-1]
        self._waiting = whole[..., complete:].clone()
        return None if made is None else made.add_(whole[..., :complete])
