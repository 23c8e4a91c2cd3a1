"""Shapes on a canvas, held to their areas."""

import numpy as np
import pytest

from audiox_core.lab.world.canvas import Canvas, hsv, mix

BLACK, WHITE = np.zeros(3, np.float32), np.ones(3, np.float32)


def drawn(draw, size=64):
    """The share of the picture that a white shape covers."""
    canvas = Canvas(1, size, BLACK)
    draw(canvas)
    return canvas.pixels[0, 0].mean()


@pytest.mark.parametrize(
    ("draw", "area"),
    [
        (lambda c: c.disc(0.5, 0.5, 0.25, WHITE), np.pi * 0.25**2),
        (lambda c: c.disc(0.5, 0.5, 0.25, WHITE, flat=0.5), np.pi * 0.25**2 / 2),
        (lambda c: c.box(0.5, 0.5, 0.5, 0.25, WHITE), 0.125),
        (lambda c: c.ring(0.5, 0.5, 0.3, 0.05, WHITE), 2 * np.pi * 0.3 * 0.05),
        (lambda c: c.rod((0.25, 0.5), (0.75, 0.5), 0.1, WHITE), 0.05 + np.pi * 0.05**2),
        (lambda c: c.glow(0.5, 0.5, 0.3, WHITE, alpha=1.0), np.pi * 0.3**2 / 3),
    ],
    ids=["disc", "ellipse", "box", "ring", "rod", "glow"],
)
def test_a_shape_covers_its_area(draw, area):
    assert drawn(draw) == pytest.approx(area, rel=0.03)


def test_alpha_mixes_with_the_ground():
    canvas = Canvas(1, 8, BLACK)
    canvas.box(0.5, 0.5, 2.0, 2.0, WHITE, alpha=0.25)
    assert (canvas.bytes() == 64).all()


def test_each_frame_has_its_own_position():
    canvas = Canvas(2, 32, BLACK)
    canvas.disc(np.array([0.25, 0.75]), 0.5, 0.1, WHITE)
    brightest = [frame[0].max(axis=0).argmax() for frame in canvas.pixels]
    assert brightest[0] < 16 < brightest[1]


def test_colours():
    assert hsv(0.0, 1.0, 1.0).tolist() == [1, 0, 0]
    assert hsv(1 + 1 / 3, 1.0, 0.5) == pytest.approx([0, 0.5, 0], abs=1e-6)
    assert mix(BLACK, WHITE, 0.25).tolist() == [0.25, 0.25, 0.25]
