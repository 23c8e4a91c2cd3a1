"""How each class of scene looks: large bright things on a dark ground, that change when they sound.

Each is a function that draws on a canvas what a motion says, in the colours of a look.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from .canvas import Canvas, Colour, hsv, mix
from .motion import Motion


@dataclass(frozen=True)
class Look:
    """What differs between two scenes of a class."""

    ground: Colour  # behind everything
    floor: Colour
    body: Colour  # of the thing that sounds
    light: Colour  # what it turns to when it does
    scale: float  # of its size
    shift: float  # of its height, shares of the picture
    phase: float  # 0..1, of whatever moves by itself


Picture = Callable[[Canvas, Look, Motion], None]


def look(rng: Generator) -> Look:
    """Colours and sizes for one scene."""
    hue = rng.random()
    return Look(
        ground=hsv(rng.random(), rng.uniform(0.2, 0.8), rng.uniform(0.03, 0.16)),
        floor=hsv(rng.random(), rng.uniform(0.1, 0.6), rng.uniform(0.2, 0.32)),
        body=hsv(hue, rng.uniform(0.5, 0.9), rng.uniform(0.45, 0.6)),
        light=hsv(hue + rng.uniform(-0.05, 0.05), rng.uniform(0.05, 0.3), 1.0),
        scale=rng.uniform(0.85, 1.15),
        shift=rng.uniform(-0.04, 0.04),
        phase=rng.random(),
    )


def ball(canvas: Canvas, look: Look, motion: Motion) -> None:
    """A ball between two bounces; it lands flat and bright."""
    ground, radius = 0.86 + look.shift, 0.17 * look.scale
    _floor(canvas, look, ground)
    _halo(canvas, look, motion, motion.x, ground - radius)
    flat = 1 - 0.4 * (motion.hit > 0) * (1 - motion.lift)
    y = ground - radius * flat - 0.42 * motion.lift
    colour = mix(look.body, look.light, motion.hit)
    canvas.disc(motion.x, y, radius * (1 + 0.25 * (1 - flat)), colour, flat=flat)


def beep(canvas: Canvas, look: Look, motion: Motion) -> None:
    """A lamp on a post that flashes."""
    y = 0.42 + look.shift
    canvas.rod((motion.x, y), (motion.x, 1.0), 0.06, look.floor)
    _halo(canvas, look, motion, motion.x, y, radius=0.65)
    canvas.disc(motion.x, y, 0.24 * look.scale, look.floor)
    canvas.disc(motion.x, y, 0.2 * look.scale, mix(0.4 * look.body, look.light, motion.hit))


def marimba(canvas: Canvas, look: Look, motion: Motion) -> None:
    """Five bars side by side, and a mallet."""
    y = 0.68 + look.shift
    for slot in np.linspace(-1, 1, 5):
        x = 0.5 + 0.34 * slot
        struck = motion.hit * (np.abs(motion.x - x) < 0.06)
        height = (0.46 - 0.08 * slot) * look.scale
        canvas.glow(x, y, 0.4, look.light, alpha=0.6 * struck)
        canvas.box(x, y, 0.14, height, mix(look.body, look.light, struck))
    top = y - 0.26 - 0.28 * motion.lift
    canvas.rod((motion.x, top), (motion.x + 0.22, top - 0.3), 0.035, look.floor * 2)
    canvas.disc(motion.x, top, 0.065, mix(look.floor * 2, look.light, motion.hit))


def bell(canvas: Canvas, look: Look, motion: Motion) -> None:
    """A bell that swings aside and rings."""
    swing = np.where(motion.count % 2, 1, -1) * motion.hit * np.cos(9 * (1 - motion.hit)) * 0.08
    x, y, size = motion.x + swing, 0.42 + look.shift, look.scale
    _halo(canvas, look, motion, x, y, radius=0.6)
    colour = mix(look.body, look.light, motion.hit)
    canvas.rod((motion.x, 0.0), (x, y - 0.2 * size), 0.05, look.floor * 1.5)
    canvas.disc(x + swing, y + 0.3 * size, 0.07, colour)
    canvas.disc(x, y, 0.2 * size, colour)
    canvas.box(x, y + 0.11 * size, 0.4 * size, 0.22 * size, colour)
    canvas.box(x, y + 0.23 * size, 0.54 * size, 0.07, colour)
    canvas.ring(x, y, 0.25 + 0.35 * (1 - motion.hit), 0.03, look.light, alpha=motion.hit)


def anvil(canvas: Canvas, look: Look, motion: Motion) -> None:
    """A hammer that swings down on an anvil and strikes sparks."""
    y, size = 0.62 + look.shift, look.scale
    iron = mix(look.body, look.light, motion.hit)
    _floor(canvas, look, 0.93)
    _halo(canvas, look, motion, motion.x, y, radius=0.55)
    canvas.box(motion.x, y + 0.08, 0.5 * size, 0.14, iron)
    canvas.box(motion.x, y + 0.2, 0.2 * size, 0.16, iron)
    canvas.box(motion.x, y + 0.31, 0.36 * size, 0.1, iron)
    angle = 0.15 + 1.1 * motion.lift
    pivot_x, pivot_y, arm = motion.x + 0.4, y - 0.1, 0.4
    head_x, head_y = pivot_x - arm * np.cos(angle), pivot_y - arm * np.sin(angle)
    canvas.rod((pivot_x, pivot_y), (head_x, head_y), 0.05, look.floor * 1.8)
    steel = mix(look.floor * 2, look.light, motion.hit)
    canvas.rod((head_x, head_y - 0.06), (head_x, head_y + 0.06), 0.15 * size, steel)
    for way in (-1.0, -0.45, 0.45, 1.0):
        out = 0.45 * (1 - motion.hit)
        spark_x, spark_y = motion.x + way * out, y - (0.5 - 0.2 * abs(way)) * out
        canvas.disc(spark_x, spark_y, 0.03, look.light, alpha=motion.hit > 0.2)


def footsteps(canvas: Canvas, look: Look, motion: Motion) -> None:
    """A walker whose foot lands with dust and light."""
    ground = 0.88 + look.shift
    _floor(canvas, look, ground)
    _halo(canvas, look, motion, motion.x, ground, radius=0.5)
    hip = ground - 0.4
    colour = mix(look.body, look.light, motion.hit)
    stride = 0.17 * np.where(motion.count % 2, 1, -1)
    raised = 0.16 * motion.lift
    for foot, height in ((stride, raised), (-stride, 0 * raised)):
        x = motion.x + foot * (1 - 0.4 * motion.lift)
        canvas.rod((motion.x, hip), (x, ground - 0.05 - height), 0.08, colour)
        canvas.rod((x, ground - 0.04 - height), (x + 0.08, ground - 0.04 - height), 0.07, colour)
    canvas.rod((motion.x, hip - 0.24), (motion.x, hip), 0.17 * look.scale, colour)
    canvas.disc(motion.x, hip - 0.36, 0.1 * look.scale, colour)
    out = 0.3 * (1 - motion.hit)
    for side in (-1, 1):
        canvas.disc(
            motion.x + side * (0.12 + out), ground, 0.06, look.light, alpha=motion.hit, flat=0.6
        )


def clock(canvas: Canvas, look: Look, motion: Motion) -> None:
    """A clock whose hand jumps; the face lights up."""
    y, radius = 0.5 + look.shift, 0.33 * look.scale
    _halo(canvas, look, motion, motion.x, y, radius=0.6)
    canvas.disc(motion.x, y, radius + 0.04, look.floor * 1.5)
    canvas.disc(motion.x, y, radius, mix(0.7 * look.body, look.light, motion.hit))
    for hour in range(4):
        mark = np.pi / 2 * hour
        dx, dy = 0.85 * radius * np.cos(mark), 0.85 * radius * np.sin(mark)
        canvas.disc(motion.x + dx, y + dy, 0.025, look.ground)
    angle = 2 * np.pi * (look.phase + motion.count / 6)
    tip_x, tip_y = radius * 0.8 * np.sin(angle), radius * 0.8 * np.cos(angle)
    canvas.rod((motion.x, y), (motion.x + tip_x, y - tip_y), 0.06, look.ground)


def drip(canvas: Canvas, look: Look, motion: Motion) -> None:
    """A tap, a drop that falls, rings in the pool."""
    pool, spout = 0.74 + look.shift, 0.22
    water = mix(0.6 * look.body, look.light, 0.45 * motion.hit)
    canvas.box(0.5, 0.5 + pool / 2, 1.0, 1 - pool + 0.01, water)
    _halo(canvas, look, motion, motion.x, pool, radius=0.45)
    canvas.box(motion.x, 0.06, 0.26, 0.14, look.floor * 2)
    canvas.box(motion.x, 0.14, 0.12, 0.16, look.floor * 2)
    falling = spout + (pool - spout) * motion.due**2
    size = 0.085 * look.scale * (motion.due > 0)
    canvas.disc(motion.x, falling, size, look.light, alpha=motion.due > 0)
    away = 1 - motion.hit
    for share in (1.0, 0.55):
        radius = 0.08 + 0.4 * share * away
        canvas.ring(motion.x, pool + 0.12, radius, 0.045, look.light, alpha=motion.hit, flat=0.35)
    canvas.rod(
        (motion.x, pool),
        (motion.x, pool - 0.25 * motion.hit),
        0.09,
        look.light,
        alpha=motion.hit > 0.3,
    )


def bird(canvas: Canvas, look: Look, motion: Motion) -> None:
    """A bird that opens its beak."""
    y, size = 0.6 + look.shift, look.scale
    canvas.box(0.5, y + 0.3, 1.0, 0.05, look.floor)
    x = motion.x - 0.06
    _halo(canvas, look, motion, x + 0.2, y - 0.2, radius=0.6)
    colour = mix(look.body, look.light, 0.7 * motion.hit)
    for leg in (-0.06, 0.05):
        canvas.rod((x + leg, y + 0.1), (x + leg, y + 0.28), 0.03, look.floor * 2)
    canvas.rod((x, y), (x - 0.3 * size, y - 0.08), 0.1, 0.8 * colour)
    canvas.disc(x, y, 0.21 * size, colour, flat=0.8)
    head_x, head_y = x + 0.15 * size, y - 0.2 * size - 0.05 * motion.hit
    canvas.disc(head_x, head_y, 0.14 * size, colour)
    gape = 0.11 * motion.hit
    tip = head_x + 0.27 * size
    for side in (-1, 1):
        canvas.rod((head_x + 0.1, head_y), (tip, head_y + side * gape), 0.05, look.light)
    canvas.disc(head_x + 0.03, head_y - 0.03, 0.03, look.ground)
    out = 0.12 * (1 - motion.hit)
    for ring in (0.1, 0.2):
        canvas.ring(tip, head_y, ring + out, 0.03, look.light, alpha=motion.hit)


def rain(canvas: Canvas, look: Look, motion: Motion) -> None:
    """A cloud, and streaks below it as many as it rains."""
    shade = mix(0.5 * look.body, 1.1 * look.body, motion.level)
    canvas.box(0.5, 0.9, 1.0, 0.2, mix(0.5 * look.floor, look.body, motion.level))
    for index in range(12):
        x = motion.x + (index % 6 - 2.5) * 0.12 * look.scale + 0.03 * (index // 6)
        fall = (2.3 * motion.times + look.phase + index * 0.381) % 1
        y = 0.32 + 0.5 * fall
        canvas.rod((x, y), (x - 0.02, y + 0.14), 0.035, look.light, alpha=motion.level)
    for dx, radius in ((-0.2, 0.14), (0.2, 0.14), (0.0, 0.2)):
        canvas.disc(motion.x + dx * look.scale, 0.22 + look.shift, radius * look.scale, shade)


def wind(canvas: Canvas, look: Look, motion: Motion) -> None:
    """Grass that bends as far as the wind blows, and streaks of air."""
    root = 0.95
    sway = np.sin(2 * np.pi * (1.3 * motion.times + look.phase)) * 0.04
    for index in range(7):
        x = 0.08 + 0.14 * index
        length = (0.42 + 0.07 * np.sin(2.1 * index + 6 * look.phase)) * look.scale
        angle = 1.15 * motion.level + sway * (1 + index % 3)
        tip_x, tip_y = x + length * np.sin(angle), root - length * np.cos(angle)
        canvas.rod((x, root), (tip_x, tip_y), 0.06, mix(look.body, look.light, 0.7 * motion.level))
    for index, y in enumerate((0.12, 0.24, 0.36)):
        head = (1.1 * motion.times + look.phase + 0.37 * index) % 1.4 - 0.2
        tail = head - 0.35 * motion.level
        canvas.rod(
            (tail, y + look.shift), (head, y + look.shift), 0.045, look.light, alpha=motion.level
        )
    canvas.box(0.5, 0.97, 1.0, 0.08, look.floor)


def engine(canvas: Canvas, look: Look, motion: Motion) -> None:
    """A car whose engine glows and whose gauge rises with its speed."""
    y, size, level = 0.66 + look.shift, look.scale, motion.level
    _floor(canvas, look, 0.86)
    body = mix(look.body, look.light, 0.6 * level)
    canvas.glow(motion.x, y, 0.5, look.light, alpha=0.7 * level)
    canvas.box(motion.x, y, 0.56 * size, 0.17, body)
    canvas.box(motion.x, y - 0.13, 0.3 * size, 0.15, 0.8 * body)
    turn = 10 * motion.x  # the wheels roll
    for side in (-0.17, 0.17):
        x = motion.x + side * size
        canvas.disc(x, y + 0.12, 0.1, look.floor * 2)
        dx, dy = 0.08 * np.cos(turn), 0.08 * np.sin(turn)
        canvas.rod((x - dx, y + 0.12 - dy), (x + dx, y + 0.12 + dy), 0.04, look.light)
    canvas.box(0.5, 0.13, 0.9, 0.14, look.floor)
    canvas.box(0.05 + 0.45 * level, 0.13, 0.9 * level, 0.14, look.light)


PICTURES: dict[str, Picture] = {
    "ball": ball,
    "beep": beep,
    "marimba": marimba,
    "bell": bell,
    "anvil": anvil,
    "footsteps": footsteps,
    "clock": clock,
    "drip": drip,
    "bird": bird,
    "rain": rain,
    "wind": wind,
    "engine": engine,
}


def _floor(canvas: Canvas, look: Look, top: float) -> None:
    canvas.box(0.5, (1 + top) / 2, 1.0, 1 - top + 0.01, look.floor)


def _halo(
    canvas: Canvas, look: Look, motion: Motion, x: NDArray, y: float, *, radius: float = 0.5
) -> None:
    """The light of an event on what is around it."""
    canvas.glow(x, y, radius, look.light, alpha=0.75 * motion.hit)
