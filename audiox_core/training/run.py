"""A stage from its settings to its file: clips, cache, modules, steps."""

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

from ..checkpoint import Checkpoint, open_checkpoint, open_vae
from ..checkpoint.auxiliary_files import load_tokenizer
from ..checkpoint.convert import convert
from ..checkpoint.layout import AUDIO_VAE, DIT, TEXT
from ..checkpoint.weight_file import open_weights
from ..config import AudioXConfig
from ..errors import SettingsError
from .batches import Batches, Silence
from .cache import Cache, Maker, OnProgress, open_cache
from .config import DataConfig, TrainConfig
from .data_source import DataSource, ManifestData, clip_range
from .diffusion_stage import Denoising, DiffusionStage, choose_trained
from .encoders_stage import EncodersStage, Guessing
from .export import Embedded
from .features import Features
from .init import new_model, new_vae
from .loop import Outcome, Report, Stage, train
from .lora_stage import LoraStage
from .team import Team, gathered
from .tokenizer import train_tokenizer
from .vae_stage import Sounds, VaeStage


@dataclass(frozen=True)
class Job:
    """What a run is asked for."""

    stage: str  # a key of STAGES
    config: TrainConfig
    output: Path
    init: Path | None = None  # a checkpoint to begin from
    text_encoder: Path | None = None  # of `init`, where it holds none
    vae: Path | None = None  # of the latents, where it is not the checkpoint's
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    command: str = ""  # that asked for it, to be written beside the weights
    data_source: Callable[[DataConfig, AudioXConfig], DataSource] = ManifestData
    on_cache: OnProgress = lambda *_: None
    on_skipped: Callable[[Cache], None] = lambda _: None
    report: Callable[[Report], None] = lambda _: None

    def settled(self) -> "Job":
        """The same; in the stage `encoders` every part that feeds the transformer learns."""
        if self.stage != "encoders":
            return self
        diffusion = replace(self.config.diffusion, train_clip=True, train_text=True,
                            train_video=True, train_conditioners=True)  # fmt: skip
        return replace(self, config=replace(self.config, diffusion=diffusion))


def run_job(job: Job) -> Outcome:
    """Train, or go on with training; whatever was done is in `job.output` afterwards."""
    if job.init is not None and job.init.absolute().parent == job.output.absolute():
        raise SettingsError(
            f"{job.init} lies where this run writes its own weights: give another --output."
        )
    job.output.mkdir(parents=True, exist_ok=True)
    job = job.settled()
    with gathered(job.device) as team:
        stage, cache = prepare(job, team)
        outcome = train(
            stage, job.config, job.output,
            team=team, record=_record(job, team, cache), made_of=_made_of(job, cache),
            report=job.report,
        )  # fmt: skip
    if job.stage == "vae" and outcome.finished and team.leads and _holds(job.init, DIT):
        convert([job.init, outcome.weights], job.output / "model.safetensors")  # with this VAE
    return outcome


def _made_of(job: Job, cache: Cache) -> str:
    """A name for the clips, and for the weights that the run begins with."""
    names = [cache.key]
    if job.init is not None:
        init = open_weights(job.init)
        sizes = [init.header.get(name, "") for name in ("audiox", "tokenizer")]
        names += [init.fingerprint(), blake2b("".join(sizes).encode(), digest_size=8).hexdigest()]
        if job.stage in ("diffusion", "lora") and not _holds(job.init, TEXT):
            file = open_checkpoint(job.init, text_encoder=job.text_encoder)
            names.append(file.text_encoder.weights.fingerprint())
    return " ".join(names)


def prepare(job: Job, team: Team) -> tuple[Stage, Cache]:
    """Clips in their cache, and the modules that will learn from them."""
    return STAGES[job.stage](job, team)


def _vae_stage(job: Job, team: Team) -> tuple[Stage, Cache]:
    config, init = job.config, job.init
    of_model = _holds(init, DIT)
    if job.vae is not None:
        raise SettingsError(
            f"`train vae` makes a VAE itself: to go on from {job.vae.name} give it with --init."
        )
    if init is None:
        if not config.vae.train_encoder:
            raise SettingsError(
                "vae.train_encoder = false keeps the latents of a VAE: give that VAE, or a model "
                "with it, with --init."
            )
        model = config.model
        vae = new_vae(model.vae, config.run.seed)
    elif not of_model:  # a VAE alone
        vae = open_vae(init).load()
        model = replace(config.model, vae=vae.config)
    else:
        file = open_checkpoint(init)
        model, vae = file.config, file.load_vae()
    source = job.data_source(config.data, model)
    cache = _cache(job, Sounds(source), source, team)
    unit = config.vae.unit and config.vae.train_encoder and not of_model
    vae.requires_grad_(True).encoder.requires_grad_(config.vae.train_encoder)
    return VaeStage(vae, model, config, cache, team, unit=unit), cache


def _diffusion_stage(job: Job, team: Team) -> tuple[Stage, Cache]:
    config = job.config
    if config.diffusion.keep_places and not _began_with_encoders(job.init):
        raise SettingsError(
            "diffusion.keep_places keeps what a model from `train encoders` began with: give such "
            "a model with --init, or set it to false."
        )
    if job.init is None:
        model = _sizes(job)
        cache = _features(job, model, team, learning=True)
        checkpoint = _new_checkpoint(job, model, cache, team)
    else:
        checkpoint = _given(job)
        cache = _features(job, checkpoint.config, team, learning=config.diffusion.train_clip)
    module = Denoising(checkpoint.backbone, checkpoint.conditioners, checkpoint.config.objective)
    choose_trained(module, config.diffusion)
    batches, embedded = _batches(job, checkpoint, cache, team), _embedded(job, checkpoint)
    return DiffusionStage(module, checkpoint, batches, team, embedded=embedded), cache


def _encoders_stage(job: Job, team: Team) -> tuple[Stage, Cache]:
    if job.init is not None:
        raise SettingsError(
            "The encoders of a checkpoint are trained already: go on with `train diffusion --init`."
        )
    model, config = _sizes(job), job.config
    cache = _features(job, model, team, learning=True)
    checkpoint = _new_checkpoint(job, model, cache, team)
    module = Guessing(checkpoint, config.run.seed)
    choose_trained(module, config.diffusion, model=False)
    batches, embedded = _batches(job, checkpoint, cache, team), _embedded(job, checkpoint)
    return EncodersStage(module, checkpoint, batches, team, embedded=embedded), cache


def _lora_stage(job: Job, team: Team) -> tuple[Stage, Cache]:
    if job.init is None:
        raise SettingsError("An adapter is trained beside a model: give it with --init.")
    config, checkpoint = job.config, _given(job)
    cache = _features(job, checkpoint.config, team, learning=False)
    batches = _batches(job, checkpoint, cache, team)
    dtype = getattr(torch, config.run.dtype)
    seed = config.run.seed
    return LoraStage(checkpoint, batches, config.lora, team, seed=seed, dtype=dtype), cache


STAGES: Mapping[str, Callable[[Job, Team], tuple[Stage, Cache]]] = {
    "vae": _vae_stage,
    "encoders": _encoders_stage,
    "diffusion": _diffusion_stage,
    "lora": _lora_stage,
}


def _began_with_encoders(init: Path | None) -> bool:
    record = {} if init is None else json.loads(open_weights(init).header.get("trained", "{}"))
    while record and record["stage"] != "encoders":
        record = record["before"].get("init")
    return bool(record)


def _given(job: Job) -> Checkpoint:
    checkpoint = open_checkpoint(job.init, vae=job.vae, text_encoder=job.text_encoder).load()
    if job.vae is not None and not _holds(job.init, AUDIO_VAE):
        checkpoint.conditioners.audio.vae = None  # prompts go through the one VAE that there is
    encoder = checkpoint.conditioners.text.encoder
    encoder.encoder.embed_tokens.weight = encoder.shared.weight  # one weight to the optimiser, too
    return checkpoint


def _features(job: Job, model: AudioXConfig, team: Team, *, learning: bool) -> Cache:
    """`learning`: CLIP learns, so that it has to look at the pictures at every step."""
    masks, source = job.config.masks, job.data_source(job.config.data, model)
    seen = not learning and not (masks.masked and masks.patches)
    return _cache(job, Features(source, model, job.vae, job.init, seen=seen), source, team)


def _batches(job: Job, checkpoint: Checkpoint, cache: Cache, team: Team) -> Batches:
    return Batches(
        cache,
        job.config,
        checkpoint.config,
        checkpoint.conditioners.text,
        silence=_silence(checkpoint, team.device),
        items_a_step=job.config.optim.items_a_step(team.size),
    )


def _sizes(job: Job) -> AudioXConfig:
    """The sizes of a new model. Raises SettingsError where something is missing for it."""
    diffusion, model = job.config.diffusion, job.config.model
    if not (diffusion.train_clip and diffusion.train_text):
        raise SettingsError(
            "A model from scratch has no picture and no text encoder yet: begin with `train "
            "encoders` and give what it makes with --init, or set diffusion.train_clip and "
            "diffusion.train_text to true."
        )
    if job.vae is None:
        raise SettingsError(
            "A model from scratch needs a VAE: train one (`train vae`) and give it with --vae."
        )
    if model.video.sync is not None:
        raise SettingsError("A model that watches through Synchformer is trained with --init only.")
    vae = open_vae(job.vae).sizes
    grid = (model.latent.channels, model.latent.hop_length, model.dit.io_channels)
    made = (vae.latent_channels, vae.hop_length, vae.latent_channels)
    if grid != made:
        raise SettingsError(
            f"{job.vae.name} makes latents of {made[0]} channels and {made[1]} samples; the "
            f"model's latent.channels, latent.hop_length, dit.io_channels are {grid}: let them "
            "be the same."
        )
    return replace(model, vae=vae)


def _new_checkpoint(job: Job, model: AudioXConfig, cache: Cache, team: Team) -> Checkpoint:
    path = job.output / "tokenizer.json"
    if team.leads and not path.exists():
        made = train_tokenizer(cache.captions, job.config.diffusion.vocabulary)
        path.write_text(made.to_str(), encoding="utf-8")
    team.wait()
    tokenizer = load_tokenizer(path)
    text = replace(model.text, vocab_size=tokenizer.get_vocab_size())
    model = replace(model, text=text)
    backbone, conditioners = new_model(model, tokenizer, job.config.run.seed)
    return Checkpoint(conditioners, backbone, open_vae(job.vae).load(), model, job.output)


def _embedded(job: Job, checkpoint: Checkpoint) -> Embedded:
    return Embedded(
        dtype=getattr(torch, job.config.run.dtype),
        text=job.config.diffusion.train_text or _holds(job.init, TEXT),
        tokenizer=checkpoint.conditioners.text.tokenizer.to_str(),
    )


def _holds(init: Path | None, part: str) -> bool:
    return init is not None and bool(open_weights(init).below(part))


def _silence(checkpoint: Checkpoint, device: torch.device) -> Silence:
    """What the model hears where nothing is to be heard."""
    model, ears = checkpoint.config, checkpoint.conditioners.audio
    if model.mel is not None:
        return Silence.mel(model.mel.filters, model.audio_tokens)
    vae = (ears.vae or checkpoint.vae).to(device)
    silence = torch.zeros(1, 2, model.latent.samples(model.latent.conditioned_seconds))
    with torch.inference_mode():
        posterior = vae.encode(silence.to(device))
    return Silence(posterior.mean[0].cpu().clone(), posterior.std[0].cpu().clone())


def _cache(job: Job, maker: Maker, source: DataSource, team: Team) -> Cache:
    data = job.config.data
    cache = open_cache(
        maker,
        Path(data.cache) if data.cache else job.output / "cache",
        clip_range(source.open(), data),
        workers=data.workers,
        on_progress=job.on_cache if team.leads else lambda *_: None,
    )
    if team.leads and cache.skipped:
        lines = [json.dumps(vars(item)) + "\n" for item in cache.skipped]
        (job.output / "skipped.jsonl").write_text("".join(lines), encoding="utf-8")
        job.on_skipped(cache)
    return cache


def _record(job: Job, team: Team, cache: Cache) -> dict[str, Any]:
    """What is written beside the weights; the loop adds steps and seconds.

    `before` holds the same of the weights that the run began with, back to the first run.
    """
    settings = job.config.identity()
    if job.init is not None:
        del settings["model"]  # it is that of the weights
    given = {"init": job.init, "vae": job.vae if job.vae != job.init else None}
    headers = {name: open_weights(path).header for name, path in given.items() if path is not None}
    return {
        "command": job.command,
        "stage": job.stage,
        "settings": settings,
        "seed": job.config.run.seed,
        "data": job.config.data.source,
        "data_hash": cache.fingerprint(),
        "clips": len(cache),
        "processes": team.size,
        "device": _device_name(team.device),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, torch {torch.__version__}",
        "began": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "before": {n: json.loads(h["trained"]) for n, h in headers.items() if "trained" in h},
    }


def _device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else str(device)
