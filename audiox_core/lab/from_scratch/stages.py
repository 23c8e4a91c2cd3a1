"""Training stages of a model that starts from nothing: a job without a checkpoint in `init`."""

from dataclasses import replace

from ...checkpoint.auxiliary_files import load_tokenizer
from ...checkpoint.checkpoint_file import Checkpoint, open_checkpoint
from ...checkpoint.layout import DIT
from ...checkpoint.part_files import open_vae
from ...config import AudioXConfig
from ...errors import SettingsError
from ...media.files import replacing
from ...training.diffusion_stage import choose_trained
from ...training.distributed import Distributed
from ...training.features import Cache
from ...training.run import (
    Job,
    diffusion_stage,
    features_cache,
    holds,
    make_batches,
    model_file,
    open_job_cache,
)
from ...training.trainer import Stage
from .encoder_pretraining import EncoderPretraining, EncodersStage
from .init import new_model, new_vae
from .tokenizer import train_tokenizer
from .vae_stage import Sounds, VaeStage


def from_scratch(job: Job) -> Job:
    """The job with a `make_stage` that builds its modules, if training itself has none.

    Args:
        job: of any stage. `encoders` trains all encoders, so the settings that the file records
            are set accordingly.

    Raises:
        SettingsError: a checkpoint was given for `encoders`.
    """
    if job.stage == "vae":
        return replace(job, make_stage=_vae)
    if job.stage != "encoders":
        new = job.stage == "diffusion" and job.init is None
        return replace(job, make_stage=_diffusion) if new else job
    if job.init is not None:
        raise SettingsError(
            "The encoders of a checkpoint are trained already: continue with `train diffusion "
            "--init`."
        )
    parts = {f"train_{part}": True for part in ("clip", "text", "video", "conditioners")}
    diffusion = replace(job.config.diffusion, **parts)
    return replace(job, config=replace(job.config, diffusion=diffusion), make_stage=_encoders)


def _vae(job: Job, dist: Distributed) -> tuple[Stage, Cache]:
    """A new VAE, one of its own file, or that of a model, which stays otherwise as it is."""
    config, of_model = job.config, holds(job.init, DIT)
    learns = config.vae.train_encoder
    if job.vae is not None:
        raise SettingsError(
            f"`train vae` trains a VAE itself: to start from {job.vae.name}, pass it with --init."
        )
    if job.init is None and not learns:
        raise SettingsError(
            "vae.train_encoder = false keeps the latents of a VAE: pass that VAE, or a model "
            "with it, with --init."
        )
    if of_model:
        file = open_checkpoint(job.init)
        model, vae = file.config, file.load_vae()
    elif job.init is not None:
        vae = open_vae(job.init).load()
        model = replace(config.model, vae=vae.config)
    else:
        model, vae = config.model, new_vae(config.model.vae, config.run.seed)
    source = job.data_source(config.data, model)
    cache = open_job_cache(job, Sounds(source), source, dist)
    vae.requires_grad_(True).encoder.requires_grad_(learns)
    for prefix in config.vae.frozen:
        found = [weight for name, weight in vae.named_parameters() if name.startswith(prefix)]
        if not found:
            raise SettingsError(f"vae.frozen contains {prefix!r}: no weight of the VAE has it.")
        for weight in found:
            weight.requires_grad_(False)
    if not any(weight.requires_grad for weight in vae.parameters()):
        raise SettingsError("vae.frozen and vae.train_encoder leave nothing to train.")
    normalize = config.vae.normalize_latents and learns and not of_model
    path = job.init if of_model else None
    stage = VaeStage(vae, model, config, cache, dist, normalize=normalize, model_path=path)
    return stage, cache


def _diffusion(job: Job, dist: Distributed) -> tuple[Stage, Cache]:
    model = _sizes(job)
    cache = features_cache(job, model, dist, clip_learns=True)
    return diffusion_stage(job, dist, _new_checkpoint(job, model, cache, dist), cache), cache


def _encoders(job: Job, dist: Distributed) -> tuple[Stage, Cache]:
    model = _sizes(job)
    cache = features_cache(job, model, dist, clip_learns=True)
    checkpoint = _new_checkpoint(job, model, cache, dist)
    module = EncoderPretraining(checkpoint, job.config.run.seed)
    choose_trained(module, job.config.diffusion, transformer=False)
    batches = make_batches(job, checkpoint, cache, dist)
    return EncodersStage(module, batches, dist, model_file(job, checkpoint)), cache


def _sizes(job: Job) -> AudioXConfig:
    """The sizes of a new model. Raises SettingsError if something is missing for it."""
    diffusion, model = job.config.diffusion, job.config.model
    if not (diffusion.train_clip and diffusion.train_text):
        raise SettingsError(
            "A model from scratch has no trained image and text encoders: start with `train "
            "encoders` and pass its result with --init, or set diffusion.train_clip and "
            "diffusion.train_text to true."
        )
    if job.vae is None:
        raise SettingsError(
            "A model from scratch needs a VAE: train one (`train vae`) and pass it with --vae."
        )
    if model.video.sync is not None:
        raise SettingsError(
            "A model with Synchformer can only be trained from a checkpoint: pass --init."
        )
    vae = open_vae(job.vae).sizes
    expected = (model.latent.channels, model.latent.hop_length, model.dit.io_channels)
    found = (vae.latent_channels, vae.hop_length, vae.latent_channels)
    if expected != found:
        raise SettingsError(
            f"{job.vae.name} has latents of {found[0]} channels and {found[1]} samples a frame; "
            f"the model's latent.channels, latent.hop_length, dit.io_channels are {expected}: "
            "make them equal."
        )
    return replace(model, vae=vae)


def _new_checkpoint(job: Job, model: AudioXConfig, cache: Cache, dist: Distributed) -> Checkpoint:
    path = job.output / "tokenizer.json"
    if dist.is_main and not path.exists():
        trained = train_tokenizer(cache.captions, job.config.diffusion.vocabulary)
        with replacing(path) as temporary:  # a run that is killed leaves no half of it
            temporary.write_text(trained.to_str(), encoding="utf-8")
    dist.wait()
    tokenizer = load_tokenizer(path)
    model = replace(model, text=replace(model.text, vocab_size=tokenizer.get_vocab_size()))
    backbone, conditioners = new_model(model, tokenizer, job.config.run.seed)
    return Checkpoint(conditioners, backbone, open_vae(job.vae).load(), model, job.output)
