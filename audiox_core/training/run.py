"""A stage from its settings to its file: clips, cache, modules, steps."""

import json
import os
import platform
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import torch

from ..checkpoint.load import load_checkpoint
from ..config import AudioXConfig
from .cache import Cache, Maker, OnProgress, open_cache
from .config import TrainConfig
from .init import new_vae
from .loop import Outcome, Report, train
from .origin import Origin
from .team import Team, gathered
from .vae_stage import Sounds, VaeStage


@dataclass(frozen=True)
class Job:
    """What a run is asked for."""

    stage: str  # a key of STAGES
    config: TrainConfig
    output: Path
    init: Path | None = None  # a checkpoint to begin from
    device: torch.device = torch.device("cpu")
    command: str = ""  # that asked for it, to be written beside the weights
    origin: Callable[[AudioXConfig], Origin] | None = None  # other clips than config.data names
    on_cache: OnProgress = lambda *_: None
    on_skipped: Callable[[Cache], None] = lambda _: None
    report: Callable[[Report], None] = lambda _: None


def run_job(job: Job) -> Outcome:
    """Train, or go on with training; whatever was done is in `job.output` afterwards."""
    job.output.mkdir(parents=True, exist_ok=True)
    with gathered(job.device) as team:
        return STAGES[job.stage](job, team)


def _train_vae(job: Job, team: Team) -> Outcome:
    if job.init is None:
        model = job.config.model
        vae = new_vae(model.vae, job.config.run.seed)
    else:
        checkpoint = load_checkpoint(job.init, parts=("vae",))
        model, vae = checkpoint.config, checkpoint.vae
    origin = _origin(job, model)
    cache = _cache(job, Sounds(origin), origin, team)
    stage = VaeStage(vae.requires_grad_(True), model, job.config, cache, team)
    return _run(job, stage, team, cache, origin)


STAGES: Mapping[str, Callable[[Job, Team], Outcome]] = {"vae": _train_vae}


def _origin(job: Job, model: AudioXConfig) -> Origin:
    return job.origin(model) if job.origin else Origin(job.config.data, model)


def _cache(job: Job, maker: Maker, origin: Origin, team: Team) -> Cache:
    data = job.config.data
    cache = open_cache(
        maker,
        Path(data.cache) if data.cache else job.output / "cache",
        origin.indices(),
        workers=data.workers,
        on_progress=job.on_cache if team.leads else lambda *_: None,
    )
    if team.leads and cache.skipped:
        lines = [json.dumps(vars(item)) + "\n" for item in cache.skipped]
        (job.output / "skipped.jsonl").write_text("".join(lines), encoding="utf-8")
        job.on_skipped(cache)
    return cache


def _run(job: Job, stage: Any, team: Team, cache: Cache, origin: Origin) -> Outcome:
    record = {
        "command": job.command,
        "stage": job.stage,
        "seed": job.config.run.seed,
        "data": job.config.data.source,
        "data_hash": origin.key(),
        "clips": len(cache),
        "processes": team.size,
        "device": _device_name(team.device),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, torch {torch.__version__}",
        "ended": datetime.now(timezone.utc).isoformat(timespec="seconds"),
    }
    return train(stage, job.config, job.output, team=team, record=record, report=job.report)


def _device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else str(device)
