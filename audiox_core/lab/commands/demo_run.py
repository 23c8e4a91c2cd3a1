"""The run of `demo`: what it imports takes seconds, so it is imported last."""

import argparse
from pathlib import Path
from tempfile import TemporaryDirectory

from ...checkpoint.checkpoint_file import load_checkpoint
from ...device import choose_device
from ...errors import SettingsError
from ...media.files import check_output, is_same_file, replacing
from ...media.formats import VIDEO_SUFFIXES
from ...media.mux import check_mux
from ...pipeline.pipeline import Pipeline
from ...pipeline.request import Request
from ..evaluation.clips import PLAYABLE, SECONDS, even_times, held_out_scene, write_scene
from ..evaluation.contact_sheet import contact_sheet

PIXELS = 240  # a side of the rendered clip
FPS = 24.0
PICTURES = 10  # in the picture


def run(options: argparse.Namespace) -> int:
    """Write the files and print what they are."""
    folder, video = options.output, options.video
    folder.mkdir(parents=True, exist_ok=True)
    rendered, drawn = folder / f"{options.label}.mp4", folder / f"{options.label}.svg"
    request = Request(prompt=options.prompt, video=video, seed=options.seed)
    for path in (rendered, drawn):
        check_output(path)
    if video is not None:
        if is_same_file(video, rendered):
            raise SettingsError(f"{video} would be overwritten: choose another --output.")
        suffix = video.suffix.lower()
        own = folder / f"{video.stem}-with-sound{suffix if suffix in VIDEO_SUFFIXES else '.mkv'}"
        check_mux(video, own)
    pipeline = Pipeline(load_checkpoint(device=choose_device(options.device)))
    if video is not None:
        pipeline.sources(request)  # refuse now what cannot be done later
    item = held_out_scene(options.seed, options.label)
    with TemporaryDirectory() as scratch:
        silent = write_scene(Path(scratch) / "silent.mp4", item, even_times(FPS), PIXELS, PLAYABLE)
        sound = pipeline.generate(Request(video=silent, seed=options.seed))
        sound.save(rendered)
    pictures = item.frames([(n + 0.5) * SECONDS / PICTURES for n in range(PICTURES)], PIXELS)
    sheet = contact_sheet(
        pictures,
        sound.waveform,
        sound.sample_rate,
        [event.time for event in item.events],
        f"{pipeline.checkpoint.variant} on a rendered clip: {options.label}",
    )
    with replacing(drawn) as path:
        path.write_text(sheet, encoding="utf-8")
    print(f"{rendered}: rendered clip with generated audio\n{drawn}: spectrogram with the events")
    if video is not None:
        pipeline.generate(request).save(own)
        print(f"{own}: your video with its soundtrack")
    return 0
