"""Moving pictures out of a few shapes, all frames at once.

Axes: `f` frames, `h w` pixels. Places and lengths are shares of the picture's side, `y` grows
downwards; each may be one number or one a frame (`f`).
"""

import colorsys

import numpy as np
from numpy.typing import NDArray

Numbers = float | NDArray  # the same for all frames, or one each
Place = tuple[Numbers, Numbers]  # x, y
Colour = NDArray  # red, green, blue in 0..1: `3` or `f 3`


def hsv(hue: float, saturation: float, value: float) -> Colour:
    """A colour from hue, saturation and value, all in 0..1."""
    return np.array(colorsys.hsv_to_rgb(hue % 1.0, saturation, value), np.float32)


def mix(first: Colour, second: Colour, share: Numbers) -> Colour:
    """Between two colours: `first` at 0, `second` at 1."""
    share = np.asarray(share, np.float32)[..., None]
    return first * (1 - share) + second * share


class Canvas:
    """Frames to draw on, each shape over what was there before."""

    def __init__(self, frames: int, size: int, colour: Colour) -> None:
        self.size = size
        self.pixels = np.empty((frames, 3, size, size), np.float32)
        self.pixels[:] = np.asarray(colour, np.float32)[..., None, None]
        self._grid = ((np.arange(size, dtype=np.float32) + 0.5) / size).astype(np.float32)

    def disc(
        self,
        x: Numbers,
        y: Numbers,
        radius: Numbers,
        colour: Colour,
        *,
        alpha: Numbers = 1.0,
        flat: Numbers = 1.0,
    ) -> None:
        """A disc; `flat` below 1 presses it into an ellipse of that share of its height."""
        rows, columns = self._around(x, y, np.maximum(radius, radius * np.asarray(flat)))
        dx, dy = self._offsets(x, y, rows, columns)
        distance = np.sqrt(dx**2 + (dy / _column(flat)) ** 2) - _column(radius)
        self._paint(self._inside(distance), colour, alpha, rows, columns)

    def ring(
        self,
        x: Numbers,
        y: Numbers,
        radius: Numbers,
        width: Numbers,
        colour: Colour,
        *,
        alpha: Numbers = 1.0,
        flat: Numbers = 1.0,
    ) -> None:
        """The line of a circle or, with `flat`, of an ellipse."""
        rows, columns = self._around(x, y, np.asarray(radius) + width)
        dx, dy = self._offsets(x, y, rows, columns)
        distance = np.abs(np.sqrt(dx**2 + (dy / _column(flat)) ** 2) - _column(radius))
        mask = self._inside(distance - _column(width) / 2)
        self._paint(mask, colour, alpha, rows, columns)

    def glow(
        self, x: Numbers, y: Numbers, radius: Numbers, colour: Colour, *, alpha: Numbers
    ) -> None:
        """Light that fades outwards."""
        rows, columns = self._around(x, y, radius)
        dx, dy = self._offsets(x, y, rows, columns)
        mask = np.clip(1 - np.sqrt(dx**2 + dy**2) / _column(radius), 0, 1)
        self._paint(mask, colour, alpha, rows, columns)

    def box(
        self,
        x: Numbers,
        y: Numbers,
        width: Numbers,
        height: Numbers,
        colour: Colour,
        *,
        alpha: Numbers = 1.0,
    ) -> None:
        """An upright rectangle around `x y`."""
        rows, columns = self._around(x, y, width, height)
        dx, dy = self._offsets(x, y, rows, columns)
        distance = np.maximum(np.abs(dx) - _column(width) / 2, np.abs(dy) - _column(height) / 2)
        self._paint(self._inside(distance), colour, alpha, rows, columns)

    def rod(
        self, start: Place, end: Place, width: Numbers, colour: Colour, *, alpha: Numbers = 1.0
    ) -> None:
        """A straight line with round ends."""
        (x0, y0), (x1, y1) = start, end
        x, y = (np.asarray(x0) + x1) / 2, (np.asarray(y0) + y1) / 2
        reach = np.hypot(np.asarray(x1) - x0, np.asarray(y1) - y0) / 2 + width
        rows, columns = self._around(x, y, reach)
        dx, dy = self._offsets(x0, y0, rows, columns)
        ax, ay = _column(np.asarray(x1) - x0), _column(np.asarray(y1) - y0)
        along = np.clip((dx * ax + dy * ay) / (ax**2 + ay**2 + 1e-9), 0, 1)
        distance = np.sqrt((dx - along * ax) ** 2 + (dy - along * ay) ** 2) - _column(width) / 2
        self._paint(self._inside(distance), colour, alpha, rows, columns)

    def bytes(self) -> NDArray:
        """`f 3 h w` uint8."""
        return np.rint(np.clip(self.pixels, 0, 1) * 255).astype(np.uint8)

    def _around(
        self, x: Numbers, y: Numbers, reach_x: Numbers, reach_y: Numbers | None = None
    ) -> tuple[slice, slice]:
        """Rows and columns that a shape touches in any frame."""

        def span(centre: Numbers, reach: Numbers) -> slice:
            low = np.min(np.asarray(centre) - reach) * self.size - 1
            high = np.max(np.asarray(centre) + reach) * self.size + 2
            return slice(int(np.clip(low, 0, self.size)), int(np.clip(high, 0, self.size)))

        return span(y, reach_x if reach_y is None else reach_y), span(x, reach_x)

    def _offsets(
        self, x: Numbers, y: Numbers, rows: slice, columns: slice
    ) -> tuple[NDArray, NDArray]:
        grid = self._grid
        return grid[columns][None, None] - _column(x), grid[rows][None, :, None] - _column(y)

    def _inside(self, distance: NDArray) -> NDArray:
        """How much of each pixel lies inside, from the distance to the edge."""
        return np.clip(0.5 - distance * self.size, 0, 1)

    def _paint(
        self, mask: NDArray, colour: Colour, alpha: Numbers, rows: slice, columns: slice
    ) -> None:
        mask = (mask * _column(alpha))[:, None]
        under = self.pixels[:, :, rows, columns]
        under += mask * (np.asarray(colour, np.float32)[..., None, None] - under)


def _column(values: Numbers) -> NDArray:
    """One value a frame, beside rows and columns: `f 1 1`."""
    return np.asarray(values, np.float32).reshape(-1, 1, 1)
