"""Clips of the rendered world as files, to look at and listen to."""

import json
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from ..media.audio import write_audio
from ..media.files import replacing
from ..media.mux import mux_soundtrack
from .evaluation.clips import PLAYABLE, even_times, write_scene
from .world import World
from .world.rendered_scene import RenderedScene

FPS = 24.0
PIXELS = 240  # a side
MANIFEST = "manifest.jsonl"


def render_clips(
    world: World, folder: Path, clips: range, on_clip: Callable[[], object] = lambda: None
) -> list[Path]:
    """Write scenes as MP4 and music as FLAC, and a manifest that lists them.

    Args:
        world: the source of the clips.
        folder: that exists.
        clips: their numbers.
        on_clip: called after each clip.

    Returns:
        The written files; the last one is `manifest.jsonl`.

    Raises:
        SettingsError: music cannot be rendered without its packages.
        MediaError: a file cannot be written.
    """
    rate = world.config.latent.sample_rate
    paths, lines = [], []
    with TemporaryDirectory() as scratch:
        for number in clips:
            item = world.item(number)
            sound = item.audio(rate)
            if isinstance(item, RenderedScene):
                path = folder / f"{number:06d}.mp4"
                silent = Path(scratch) / path.name
                write_scene(silent, item, even_times(FPS), PIXELS, PLAYABLE)
                mux_soundtrack(silent, sound, rate, path)
            else:
                path = folder / f"{number:06d}.flac"
                write_audio(path, sound, rate)
            lines.append(json.dumps({"path": path.name, "caption": item.caption}) + "\n")
            paths.append(path)
            on_clip()
    manifest = folder / MANIFEST
    with replacing(manifest) as temporary:
        temporary.write_text("".join(lines), encoding="utf-8")
    return [*paths, manifest]
