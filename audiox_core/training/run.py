"""A training run from its settings to its file: clips, cache, modules, steps."""

import json
import os
import platform
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from hashlib import blake2b
from pathlib import Path
from typing import Any

import torch

from ..checkpoint.checkpoint_file import Checkpoint, open_checkpoint
from ..checkpoint.layout import AUDIO_VAE, TEXT
from ..checkpoint.weight_file import open_weights
from ..conditioners.audio import HIDDEN_MEL
from ..config import AudioXConfig
from ..errors import SettingsError
from ..paths import new_folder
from .batches import Batches, Posterior
from .clips import DataSource, clip_range
from .config import DataConfig, TrainConfig
from .diffusion_stage import Denoising, DiffusionStage, choose_trained
from .distributed import Distributed, start_distributed
from .export import ModelFile
from .features import Cache, FeatureMaker, Maker, OnProgress, open_cache
from .lora_stage import LoraStage
from .manifest import write_lines
from .media import ManifestData
from .state import open_state
from .trainer import Outcome, Report, Stage, train


@dataclass(frozen=True)
class Job:
    """Inputs and callbacks of a run."""

    stage: str  # its name: a key of `STAGES`, or any with `make_stage`
    config: TrainConfig
    output: Path
    init: Path | None = None  # the checkpoint to start from
    text_encoder: Path | None = None  # of `init`, if that file holds none
    vae: Path | None = None  # of the latents, if it is not the one in `init`
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    command: str = ""  # recorded beside the weights
    data_source: Callable[[DataConfig, AudioXConfig], DataSource] = ManifestData
    make_stage: "StageMaker | None" = None  # None: by the name of the stage
    on_cache: OnProgress = lambda *_: None
    on_skipped: Callable[[Cache], None] = lambda _: None
    report: Callable[[Report], None] = lambda _: None
    on_save: Callable[[Path], None] = lambda _: None  # called with `output`


StageMaker = Callable[[Job, Distributed], tuple[Stage, Cache]]


def run_job(job: Job) -> Outcome:
    """Train, or resume a run that ended early; the results are in `job.output`.

    Raises:
        SettingsError: settings, data and checkpoint do not fit together.
        TrainingError: the loss is not finite.
        WeightsError: a file cannot be read or written.
    """
    if job.init is not None and job.init.absolute().parent == job.output.absolute():
        raise SettingsError(f"{job.init} is in the output folder: choose another --output.")
    open_state(job.output)  # a damaged one is refused before hours of preparing clips
    with new_folder(job.output), start_distributed(job.device) as dist:
        stage, cache = prepare(job, dist)
        identity = job.config.identity() | {
            "stage": job.stage,
            "processes": dist.size,
            "data_fingerprint": _data_fingerprint(job, cache),
        }
        return train(
            stage,
            job.config,
            job.output,
            dist,
            identity=identity,
            record=_record(job, dist, cache),
            report=job.report,
            on_save=job.on_save,
        )


def prepare(job: Job, dist: Distributed) -> tuple[Stage, Cache]:
    """Clips in their cache, and the modules that will learn from them."""
    return (job.make_stage or STAGES[job.stage])(job, dist)


def _diffusion_stage(job: Job, dist: Distributed) -> tuple[Stage, Cache]:
    checkpoint = load_init(job)
    learns = job.config.diffusion.train_clip
    cache = features_cache(job, checkpoint.config, dist, clip_learns=learns)
    return diffusion_stage(job, dist, checkpoint, cache), cache


def diffusion_stage(
    job: Job, dist: Distributed, checkpoint: Checkpoint, cache: Cache
) -> DiffusionStage:
    """The stage `diffusion` for given modules."""
    module = Denoising(
        checkpoint.backbone,
        checkpoint.conditioners,
        checkpoint.config.objective,
        job.config.diffusion.balance,
    )
    choose_trained(module, job.config.diffusion)
    batches = make_batches(job, checkpoint, cache, dist)
    return DiffusionStage(module, batches, dist, model_file(job, checkpoint))


def _lora_stage(job: Job, dist: Distributed) -> tuple[Stage, Cache]:
    checkpoint = load_init(job)
    cache = features_cache(job, checkpoint.config, dist, clip_learns=False)
    batches = make_batches(job, checkpoint, cache, dist)
    return LoraStage(checkpoint, batches, job.config, dist), cache


STAGES: Mapping[str, StageMaker] = {"diffusion": _diffusion_stage, "lora": _lora_stage}


def load_init(job: Job) -> Checkpoint:
    """The checkpoint of `job.init`. Raises SettingsError if there is none."""
    if job.init is None:
        raise SettingsError(f"The stage {job.stage} needs a model: pass it with --init.")
    checkpoint = open_checkpoint(job.init, vae=job.vae, text_encoder=job.text_encoder).load()
    if job.vae is not None and not holds(job.init, AUDIO_VAE):  # the new VAE encodes prompts, too
        prompts = open_checkpoint(job.init, text_encoder=job.text_encoder).load_conditioners()
        checkpoint = replace(checkpoint, conditioners=prompts)
    return checkpoint


def features_cache(job: Job, model: AudioXConfig, dist: Distributed, *, clip_learns: bool) -> Cache:
    """Latents and features of all clips.

    Args:
        job: of the run.
        model: sizes of the model.
        dist: this process.
        clip_learns: CLIP is trained, so that the cache keeps the frames themselves.
    """
    masks, source = job.config.masks, job.data_source(job.config.data, model)
    encode_clip = not clip_learns and not (masks.masked and masks.patches)
    features = FeatureMaker(source, model, job.vae, job.init, encode_clip=encode_clip)
    return open_job_cache(job, features, source, dist)


def open_job_cache(job: Job, maker: Maker, source: DataSource, dist: Distributed) -> Cache:
    """Fill and open the cache of a run, and list what could not be used."""
    data = job.config.data
    cache = open_cache(
        maker,
        Path(data.cache) if data.cache else job.output / "cache",
        clip_range(source.open(), data),
        workers=data.workers,
        first=dist.rank / dist.size,
        on_progress=job.on_cache if dist.is_main else lambda *_: None,
    )
    if dist.is_main and cache.skipped:
        records = ({"index": clip, "reason": why} for clip, why in cache.skipped)
        write_lines(job.output / "skipped.jsonl", records)
        job.on_skipped(cache)
    return cache


def make_batches(job: Job, checkpoint: Checkpoint, cache: Cache, dist: Distributed) -> Batches:
    """Batches of the cached clips, with their masks."""
    return Batches(
        cache,
        job.config,
        checkpoint.config,
        checkpoint.use("text"),
        silence=silence_of(checkpoint, dist.device),
        items_per_step=job.config.optim.items_per_step(dist.size),
    )


def model_file(job: Job, checkpoint: Checkpoint) -> ModelFile:
    """What `model.safetensors` of a run holds beside the model."""
    with_text = job.config.diffusion.train_text or holds(job.init, TEXT)
    tokenizer = checkpoint.conditioners.text.tokenizer.to_str() if with_text else None
    dtype = getattr(torch, job.config.run.dtype)
    return ModelFile(checkpoint.config, checkpoint.vae, dtype, tokenizer)


def holds(init: Path | None, prefix: str) -> bool:
    """Whether a checkpoint has weights below a prefix of `checkpoint.layout`."""
    return init is not None and bool(open_weights(init).below(prefix))


def silence_of(checkpoint: Checkpoint, device: torch.device) -> Posterior:
    """What the model gets for a silent prompt; of a spectrogram the hidden columns, exactly."""
    model = checkpoint.config
    if model.mel is not None:
        mean = torch.full((model.mel.filters, model.audio_tokens), HIDDEN_MEL)
        return mean, torch.zeros_like(mean)
    vae = (getattr(checkpoint.conditioners.audio, "vae", None) or checkpoint.vae).to(device)
    silence = torch.zeros(1, 2, model.latent.samples(model.latent.conditioned_seconds))
    with torch.inference_mode():
        posterior = vae.encode(silence.to(device))
    return posterior.mean[0].cpu().clone(), posterior.std[0].cpu().clone()


def _data_fingerprint(job: Job, cache: Cache) -> str:
    """A name for the clips and for the weights that the run starts from."""
    names = [cache.key]
    if job.init is not None:
        init = open_weights(job.init)
        sizes = [init.header.get(name, "") for name in ("audiox", "tokenizer")]
        names += [init.fingerprint(), blake2b("".join(sizes).encode(), digest_size=8).hexdigest()]
        if job.stage != "vae" and not holds(job.init, TEXT):
            file = open_checkpoint(job.init, text_encoder=job.text_encoder)
            names.append(file.text_encoder.weights.fingerprint())
    return " ".join(names)


def _record(job: Job, dist: Distributed, cache: Cache) -> dict[str, Any]:
    """What is written beside the weights; the trainer adds steps and seconds.

    `before` holds the records of the weights that the run started from, back to the first run.
    """
    settings = job.config.identity()
    if job.init is not None:
        del settings["model"]  # it is that of the weights
    given = {"init": job.init, "vae": job.vae if job.vae != job.init else None}
    headers = {name: open_weights(path).header for name, path in given.items() if path is not None}
    cuda = dist.device.type == "cuda"
    return {
        "command": job.command,
        "stage": job.stage,
        "settings": settings,
        "seed": job.config.run.seed,
        "data": job.config.data.source,
        "data_hash": cache.fingerprint(),
        "clips": len(cache),
        "processes": dist.size,
        "device": torch.cuda.get_device_name(dist.device) if cuda else str(dist.device),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, torch {torch.__version__}",
        "began": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "before": {n: json.loads(h["trained"]) for n, h in headers.items() if "trained" in h},
    }
