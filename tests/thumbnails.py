"""Thumbnails of the workflows: the spectrogram of what one makes, over a frame of its picture."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from audiox_core.analysis.spectrogram import RANGE_DB, coloured, log_spectrogram
from audiox_core.media.audio import read_audio
from audiox_core.media.examples import CLIPS, example_file
from audiox_core.media.video import read_frame

WIDTH, HEIGHT = 500, 400
SIDE = 300  # of the picture
STRIP = 140  # height of the spectrogram, which hides the lowest part of the picture a little
RATE = 44_100  # Hz
PAPER = (12, 12, 20)


def write_thumbnail(path: Path, sound: Path, example: str, label: str) -> None:
    """Draw one.

    Args:
        path: of the JPEG.
        sound: a file with the sound.
        example: whose picture is the background; empty: the spectrogram fills the thumbnail.
        label: written in the corner.
    """
    sheet = Image.new("RGB", (WIDTH, HEIGHT), PAPER)
    high = HEIGHT
    if example:
        frame = read_frame(example_file(example), CLIPS[example].picture)
        picture = Image.fromarray(frame.permute(1, 2, 0).contiguous().numpy())
        blurred = picture.resize((8, 8)).resize((WIDTH, WIDTH), Image.Resampling.BICUBIC)
        sheet.paste(Image.blend(sheet, blurred.crop((0, 50, WIDTH, 50 + HEIGHT)), 0.3))
        sheet.paste(picture.resize((SIDE, SIDE)), ((WIDTH - SIDE) // 2, 0))
        high = STRIP
    sheet.paste(*_spectrogram(sound, high, over_picture=bool(example)))
    if label:
        write_label(sheet, label)
    sheet.save(path, "JPEG", quality=88)


def write_label(sheet: Image.Image, label: str) -> None:
    """In the lower right corner: ComfyUI has a badge in the upper left one."""
    font, draw, corner = (
        ImageFont.load_default(30),
        ImageDraw.Draw(sheet),
        (WIDTH - 20, HEIGHT - 20),
    )
    left, top, right, bottom = draw.textbbox(corner, label, font, anchor="rb")
    draw.rounded_rectangle([left - 10, top - 9, right + 10, bottom + 9], 8, PAPER)
    draw.text(corner, label, (255, 255, 255), font, anchor="rb")


def _spectrogram(sound: Path, height: int, *, over_picture: bool) -> tuple:
    """The picture, its place, and how opaque it is: more where the sound is louder."""
    waveform = read_audio(sound, sample_rate=RATE)
    levels = log_spectrogram(waveform, RATE, WIDTH, height).flip(0).numpy()
    share = ((levels - levels.max()) / RANGE_DB + 1).clip(0, 1)
    opaque = 0.55 + 0.45 * share if over_picture else np.ones_like(share)
    mask = Image.fromarray((255 * opaque).astype(np.uint8))
    return Image.fromarray(coloured(share)), (0, HEIGHT - height), mask
