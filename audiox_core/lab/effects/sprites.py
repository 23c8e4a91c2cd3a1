"""Pictures of scenes: emoji that move when they sound, over varied backgrounds.

Axes: `f` frames, `h w` pixels. Places and lengths are shares of the picture's side.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from ...errors import SettingsError
from ..world.canvas import Canvas, hsv, mix
from ..world.motion import Motion
from .recordings import EMOJI, INSTALL

try:
    from PIL import Image, ImageDraw, ImageEnhance, ImageFont
except ImportError as error:
    raise SettingsError("The pictures need Pillow: run `pip install pillow`.") from error

PIXELS = 109  # the size of the font's bitmaps
GLYPHS = {
    "dog": "\U0001f415", "bird": "\U0001f426", "door": "\U0001f6aa", "footsteps": "\U0001f45f",
    "ball": "\U0001f3c0", "clock": "\U000023f0", "drip": "\U0001f4a7", "bell": "\U0001f514",
    "chime": "\U0001f390", "anvil": "\U0001f528", "drum": "\U0001f941",
    "telephone": "\U0000260e", "explosion": "\U0001f4a3", "thunder": "\U0001f329",
    "laugh": "\U0001f602", "heartbeat": "\U00002764", "rain": "\U0001f327", "wind": "\U0001f333",
    "sea": "\U0001f30a", "fire": "\U0001f525", "engine": "\U0001f697", "train": "\U0001f682",
    "helicopter": "\U0001f681", "siren": "\U0001f6a8", "applause": "\U0001f44f",
    "horse": "\U0001f40e",
}  # fmt: skip
BLAST = "\U0001f4a5"  # in the place of the bomb while it explodes
STILL = 0.45  # brightness of what does not sound
SIZES = 1.44  # sum of the sizes of several sources, as shares of the size of one


@dataclass(frozen=True)
class Pose:
    """Where and how a sprite is drawn, one value a frame (`f`)."""

    x: NDArray
    y: NDArray
    size: NDArray
    angle: NDArray  # degrees
    light: NDArray  # brightness


@dataclass(frozen=True)
class Stage:
    """What differs between two scenes: colours, sizes and places."""

    scale: float
    ground: float  # height of the floor's edge
    phase: float  # 0..1, of whatever moves by itself


def draw(sources: Sequence[tuple[str, Motion]], size: int, rng: Generator) -> NDArray:
    """The pictures of one source, or of several in a row, `f 3 size size` uint8.

    Args:
        sources: class and motion of each.
        size: pixels a side.
        rng: draws background and sizes.

    Raises:
        SettingsError: the font is not installed.
    """
    frames = sources[0][1].times.size
    stage, canvas = _background(frames, size, rng)
    many, poses = len(sources), []
    scale = stage.scale * (1.0 if many == 1 else SIZES / many)
    for label, motion in sources:
        poses.append((label, motion, POSES.get(label, _hop)(motion.x, motion, scale, stage)))
        _effects(canvas, label, motion, poses[-1][2], stage)
    pictures = np.ascontiguousarray(canvas.bytes().transpose(0, 2, 3, 1))
    for number in range(frames):
        picture = Image.fromarray(pictures[number])
        for label, motion, pose in poses:
            _paste(picture, label, motion, pose, number)
        pictures[number] = np.asarray(picture)
    return np.ascontiguousarray(pictures.transpose(0, 3, 1, 2))


def _background(frames: int, size: int, rng: Generator) -> tuple[Stage, Canvas]:
    """Sky and floor in two colours, and a few soft shapes."""
    stage = Stage(rng.uniform(0.85, 1.15), rng.uniform(0.72, 0.86), rng.random())
    sky = hsv(rng.random(), rng.uniform(0.1, 0.7), rng.uniform(0.06, 0.4))
    floor = hsv(rng.random(), rng.uniform(0.1, 0.6), rng.uniform(0.12, 0.45))
    canvas = Canvas(frames, size, sky)
    for _ in range(int(rng.integers(0, 5))):
        shade = hsv(rng.random(), rng.uniform(0.1, 0.5), rng.uniform(0.08, 0.4))
        x, y, radius = rng.random(), rng.uniform(0, stage.ground), rng.uniform(0.05, 0.25)
        if rng.random() < 0.5:
            canvas.disc(x, y, radius, shade, alpha=0.7)
        else:
            canvas.box(x, y, radius, 1.6 * radius, shade, alpha=0.7)
    canvas.box(0.5, (1 + stage.ground) / 2, 1.0, 1 - stage.ground + 0.01, floor)
    return stage, canvas


def _standing(x: NDArray, motion: Motion, scale: float, stage: Stage, size: float = 0.5) -> Pose:
    still = np.zeros_like(motion.times)
    side = still + size * scale
    light = STILL + (1 - STILL) * np.maximum(motion.hit, motion.level)
    return Pose(x + still, stage.ground + 0.04 - side / 2, side, still, light)


def _hop(x: NDArray, motion: Motion, scale: float, stage: Stage) -> Pose:
    """It jumps and grows."""
    pose = _standing(x, motion, scale, stage)
    size = pose.size * (1 + 0.35 * motion.hit)
    return Pose(pose.x, pose.y - 0.16 * motion.hit, size, pose.angle, pose.light)


def _bounce(x: NDArray, motion: Motion, scale: float, stage: Stage) -> Pose:
    """A ball that touches the floor at each onset."""
    pose = _standing(x, motion, scale, stage, 0.36)
    return Pose(pose.x, pose.y - 0.4 * motion.lift, pose.size, 90 * motion.lift, pose.light)


def _fall(x: NDArray, motion: Motion, scale: float, stage: Stage) -> Pose:
    """A drop that reaches the floor at each onset."""
    pose = _standing(x, motion, scale, stage, 0.26)
    falls = np.where(motion.due > 0, motion.due**2, 0.0)
    y = 0.08 + (stage.ground - 0.08) * np.where(motion.hit > 0.75, 1.0, falls)
    return Pose(pose.x, y, pose.size, pose.angle, np.maximum(pose.light, 0.8))


def _strike(x: NDArray, motion: Motion, scale: float, stage: Stage) -> Pose:
    """A hammer that is raised and comes down at the onset."""
    pose = _standing(x, motion, scale, stage)
    raised = np.clip(np.minimum(2 * motion.due, 1) * (motion.due < 0.97), 0, 1)
    return Pose(pose.x, pose.y, pose.size, 75 * raised - 20 * motion.hit, pose.light)


def _swing(x: NDArray, motion: Motion, scale: float, stage: Stage) -> Pose:
    """It swings to and fro after the onset."""
    pose = _standing(x, motion, scale, stage)
    angle = 32 * motion.hit * np.cos(18 * (1 - motion.hit))
    size = pose.size * (1 + 0.2 * motion.hit)
    return Pose(pose.x, pose.y - 0.1, size, angle, pose.light)


def _shake(x: NDArray, motion: Motion, scale: float, stage: Stage) -> Pose:
    """It trembles while it sounds."""
    pose = _standing(x, motion, scale, stage)
    sign = np.where((motion.times * 14).astype(int) % 2, 1.0, -1.0)
    size = pose.size * (1 + 0.25 * motion.hit)
    return Pose(pose.x + 0.03 * sign * motion.hit, pose.y, size, 14 * sign * motion.hit, pose.light)


def _pulse(x: NDArray, motion: Motion, scale: float, stage: Stage) -> Pose:
    """It grows in its place."""
    pose = _standing(x, motion, scale, stage)
    return Pose(pose.x, pose.y - 0.05, pose.size * (1 + 0.5 * motion.hit), pose.angle, pose.light)


def _hang(x: NDArray, motion: Motion, scale: float, stage: Stage) -> Pose:
    """A cloud in the sky."""
    pose = _standing(x, motion, scale, stage)
    return Pose(
        pose.x, 0.26 + 0 * pose.y, pose.size * (1 + 0.2 * motion.hit), pose.angle, pose.light
    )


def _sway(x: NDArray, motion: Motion, scale: float, stage: Stage) -> Pose:
    """Leaves in the wind, flames, waves and hands: they move as much as they sound."""
    pose = _standing(x, motion, scale, stage)
    turn = np.sin(2 * np.pi * (2.6 * motion.times + stage.phase)) * motion.level
    size = pose.size * (0.8 + 0.4 * motion.level)
    return Pose(pose.x, stage.ground + 0.04 - size / 2, size, 16 * turn, pose.light)


def _drive(x: NDArray, motion: Motion, scale: float, stage: Stage) -> Pose:
    """It goes to and fro as long as it sounds, and trembles."""
    pose = _standing(x, motion, scale, stage)
    gone = np.sin(2 * np.pi * (0.23 * motion.times + stage.phase))
    shake = np.sin(2 * np.pi * 7 * motion.times) * motion.level
    y = pose.y - 0.03 * np.abs(shake)
    return Pose(pose.x + 0.2 * gone * motion.level, y, pose.size, 4 * shake, pose.light)


def _fly(x: NDArray, motion: Motion, scale: float, stage: Stage) -> Pose:
    """In the air while it sounds, else on the floor."""
    pose = _drive(x, motion, scale, stage)
    return Pose(pose.x, pose.y - 0.3 * motion.level, pose.size, pose.angle, pose.light)


POSES: dict[str, Callable[[NDArray, Motion, float, Stage], Pose]] = {
    "ball": _bounce, "drip": _fall, "anvil": _strike, "bell": _swing, "chime": _swing,
    "clock": _shake, "telephone": _shake, "laugh": _shake, "door": _shake, "drum": _shake,
    "heartbeat": _pulse, "explosion": _pulse, "thunder": _hang, "rain": _hang, "wind": _sway,
    "sea": _sway, "fire": _sway, "applause": _sway, "engine": _drive, "train": _drive,
    "horse": _drive, "siren": _standing, "helicopter": _fly,
}  # fmt: skip


def _effects(canvas: Canvas, label: str, motion: Motion, pose: Pose, stage: Stage) -> None:
    """Light and lines around what sounds."""
    light = hsv(0.13, 0.15, 1.0)
    if motion.hit.any():
        canvas.glow(pose.x, pose.y, 0.62, light, alpha=0.8 * motion.hit)
        radius = pose.size / 2 + 0.3 * (1 - motion.hit)
        canvas.ring(pose.x, pose.y, radius, 0.03, light, alpha=motion.hit)
    if label == "thunder":
        canvas.box(0.5, 0.5, 1.0, 1.0, light, alpha=0.5 * (motion.hit > 0.6))
    if not motion.level.any():
        return
    level = motion.level
    if label in ("rain", "wind", "helicopter"):
        for index in range(10):
            part = (1.9 * motion.times + stage.phase + index * 0.381) % 1
            if label == "rain":
                x, y = pose.x + (index - 4.5) * 0.06, 0.42 + 0.45 * part
                ends = (x, y), (x - 0.02, y + 0.12)
            else:
                x, y = 1.3 * part - 0.15, 0.06 + 0.07 * index + 0 * part
                ends = (x, y), (x + 0.22, y)
            canvas.rod(*ends, 0.025, light, alpha=0.8 * level)
        return
    colour = light
    if label == "siren":
        turn = np.clip(np.sin(2 * np.pi * 1.5 * motion.times) * 4, -1, 1) / 2 + 0.5
        colour = mix(hsv(0.0, 0.8, 1.0), hsv(0.6, 0.8, 1.0), turn)
    elif label == "fire":
        colour = hsv(0.07, 0.8, 1.0)
    canvas.glow(pose.x, pose.y, 0.6, colour, alpha=0.65 * level)


def _paste(picture: Image.Image, label: str, motion: Motion, pose: Pose, number: int) -> None:
    side = max(1, round(float(pose.size[number]) * picture.width))
    blast = label == "explosion" and motion.hit[number] > 0.05
    sprite = _sprite(
        BLAST if blast else GLYPHS[label],
        side,
        5 * round(float(pose.angle[number]) / 5),
        round(float(pose.light[number]), 1),
    )
    x = round(float(pose.x[number]) * picture.width - sprite.width / 2)
    y = round(float(pose.y[number]) * picture.height - sprite.height / 2)
    picture.paste(sprite, (x, y), sprite)


@lru_cache(maxsize=4_096)
def _sprite(glyph: str, side: int, angle: int, light: float) -> Image.Image:
    """An emoji, `side` pixels high, turned and dimmed."""
    image = _glyph(glyph)
    image = image.resize((round(side * image.width / image.height), side), Image.Resampling.BOX)
    if angle:
        image = image.rotate(angle, Image.Resampling.BILINEAR, expand=True)
    if light >= 1:
        return image
    dark = ImageEnhance.Brightness(image.convert("RGB")).enhance(light)
    dark.putalpha(image.getchannel("A"))
    return dark


@cache
def _glyph(glyph: str) -> Image.Image:
    if not EMOJI.is_file():
        raise SettingsError(f"{EMOJI} is missing: run `{INSTALL}`.")
    font = ImageFont.truetype(str(EMOJI), PIXELS)
    image = Image.new("RGBA", (2 * PIXELS, 2 * PIXELS))
    ImageDraw.Draw(image).text((PIXELS // 4, PIXELS // 4), glyph, font=font, embedded_color=True)
    return image.crop(image.getbbox())
