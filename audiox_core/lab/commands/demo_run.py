"""The run of `demo`: what it imports takes seconds, so it is imported last."""

import argparse
from pathlib import Path
from tempfile import TemporaryDirectory

from ...checkpoint.checkpoint_file import open_checkpoint
from ...device import choose_device
from ...media.files import check_outputs, replacing
from ...media.mux import check_mux
from ...paths import new_folder
from ...pipeline.pipeline import Pipeline
from ...pipeline.request import Request
from ...pipeline.sources import open_sources
from ...progress import OnProgress, Stages
from ..evaluation.clips import PLAYABLE, SECONDS, even_times, held_out_scene, write_scene
from ..evaluation.contact_sheet import contact_sheet
from .demo import demo_files

PIXELS = 240  # a side of the rendered clip
FPS = 24.0
PICTURES = 10  # in the picture


def run(options: argparse.Namespace, show: OnProgress) -> list[str]:
    """Write the files.

    Args:
        options: of the command line.
        show: called with the progress.

    Returns:
        The files and what they are, a line each.
    """
    with new_folder(options.output):
        return _render(options, show)


def _render(options: argparse.Namespace, show: OnProgress) -> list[str]:
    video = options.video
    rendered, drawn, *others = demo_files(options)
    request = Request(prompt=options.prompt, video=video, seed=options.seed)
    check_outputs((rendered, drawn), (video,))
    if video is not None:
        (own,) = others
        check_mux(video, own)
    file, device = open_checkpoint(), choose_device(options.device)
    own_sources = None if video is None else open_sources(request, file.config.latent)
    times = {"loading the model": 0.5, "rendering": 3.0, "generating": 6.0, "drawing": 0.5}
    if own_sources is not None:
        times["generating for your video"] = 0.6 * own_sources.seconds
    stages = Stages(times, show)
    stages.report("loading the model")
    pipeline = Pipeline(file.load(device=device))
    item = held_out_scene(options.seed, options.label)
    with TemporaryDirectory() as scratch:
        stages.report("rendering")
        silent = write_scene(Path(scratch) / "silent.mp4", item, even_times(FPS), PIXELS, PLAYABLE)
        shown = Request(video=silent, seed=options.seed)
        sound = pipeline.generate(shown, on_progress=stages.nested("generating"))
        sound.save(rendered)
    stages.report("drawing")
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
    made = [f"{rendered}: rendered clip with generated audio"]
    made.append(f"{drawn}: spectrogram with the events")
    if video is not None:
        report = stages.nested("generating for your video")
        pipeline.generate(request, on_progress=report, sources=own_sources).save(own)
        made.append(f"{own}: your video with its soundtrack")
    return made
