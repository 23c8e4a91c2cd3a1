"""The run of `generate`: what it imports takes seconds, so it is imported last."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from ..device import choose_device
from ..pipeline.model_options import ModelOptions
from ..pipeline.record import record_of
from ..pipeline.render import Model, render, render_seconds
from ..pipeline.request import SAMPLING, Request
from ..pipeline.stage_times import load_seconds
from ..progress import OnProgress, Stages
from ..version import __version__

LOADING = "loading the model"


def run(output: Path, options: ModelOptions, request: Request, show: OnProgress) -> dict[str, Any]:
    """Generate and save; inputs are read before weights.

    Args:
        output: to write.
        options: of the model.
        request: it and its files have been checked.
        show: called with the progress.

    Returns:
        What was made, how, and the record of the run.
    """
    device = choose_device(options.device)
    model = Model.open(options)
    sources = model.sources(request, output)
    loading = {LOADING: load_seconds(model.file.path.stat().st_size)}
    stages = Stages(loading | render_seconds(model.file, request, sources, device.type), show)
    stages.report(LOADING)
    pipeline = model.load(lambda done: stages.report(LOADING, done))
    summary = render(pipeline, request, output, sources, stages)
    used = replace(request, **{name: summary[name] for name in SAMPLING})
    made_by = replace(options, device=summary["device"], dtype=summary["dtype"])
    return summary | record_of(used, made_by, output) | {"version": __version__}
