"""The run of `demo`: what it imports takes seconds, so it is imported last."""

import argparse
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from ...checkpoint.checkpoint_file import open_checkpoint
from ...device import choose_device
from ...media.examples import CLIPS, example_file
from ...media.files import check_outputs, replacing
from ...media.mux import check_mux
from ...media.pixels import resize_frames
from ...media.video import read_frame
from ...paths import new_folder
from ...pipeline.pipeline import Pipeline
from ...pipeline.request import Request
from ...pipeline.sources import open_sources
from ...progress import OnProgress, Stages
from ..evaluation.contact_sheet import contact_sheet
from .demo import demo_files

PIXELS = 200  # a side of the frames in the picture
PICTURES = 10  # frames of a clip without events
LATER = 0.05  # s: an event is seen in the first frame after it


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
    video, clip, source = options.video, CLIPS[options.clip], example_file(options.clip)
    dubbed, drawn, *others = demo_files(options)
    request = Request(prompt=options.prompt, video=video, seed=options.seed)
    check_outputs((dubbed, drawn), (source, video))
    if video is not None:
        (own,) = others
        check_mux(video, own)
    file, device = open_checkpoint(), choose_device(options.device)
    own_sources = None if video is None else open_sources(request, file.config.latent)
    times = {"loading the model": 0.5, "generating": 6.0 * (1 + len(clip.prompts)), "drawing": 0.5}
    if own_sources is not None:
        times["generating for your video"] = 0.6 * own_sources.seconds
    stages = Stages(times, show)
    stages.report("loading the model")
    pipeline = Pipeline(file.load(device=device))
    shown = Request(prompt=clip.prompt, prompts=clip.prompts, video=source, seed=options.seed)
    sound = pipeline.generate(shown, on_progress=stages.nested("generating"))
    sound.save(dubbed)
    stages.report("drawing")
    at = clip.events or [(n + 0.5) * clip.seconds / PICTURES for n in range(PICTURES)]
    texts = ", ".join([*(text for _, _, text in clip.prompts), clip.prompt])
    title = f"{pipeline.checkpoint.variant} on the example clip {options.clip}: {texts}"
    sheet = contact_sheet(_frames(source, at), at, sound, clip.events, title)
    with replacing(drawn) as path:
        path.write_text(sheet, encoding="utf-8")
    made = [f"{dubbed}: example clip with generated audio"]
    made.append(f"{drawn}: its frames above the spectrogram")
    if video is not None:
        report = stages.nested("generating for your video")
        pipeline.generate(request, on_progress=report, sources=own_sources).save(own)
        made.append(f"{own}: your video with its soundtrack")
    return made


def _frames(path: Path, times: Sequence[float]) -> Tensor:
    """The frames just after some times in seconds, `f 3 h w` uint8."""
    frames = torch.stack([read_frame(path, time + LATER) for time in times])
    return resize_frames(frames, PIXELS)
