"""A checkpoint of the AudioX family: opened and detected once, then loaded in whole or in parts."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from ..conditioners.assemble import Conditioners
from ..conditioners.audio import AnyAudioConditioner, audio_conditioner
from ..conditioners.host import ModelHost, Part
from ..conditioners.missing_module import MissingModule, check_present
from ..conditioners.video import video_conditioner
from ..config import AudioXConfig
from ..device import choose_device, choose_precision
from ..errors import SettingsError, WeightsError, shown
from ..models import Backbone, backbone
from ..models.attention import AttentionFn, torch_attention
from ..models.dit import rename_norms
from ..models.maf import MAFBlock
from ..models.oobleck import Oobleck
from ..paths import local_path
from . import auxiliary_files as auxiliary
from . import part_files
from .detect import detect
from .layout import (
    AUDIO,
    AUDIO_VAE,
    DIT,
    MAF,
    SYNC,
    TEXT,
    TRANSFORMER_ONLY,
    VAE,
    VIDEO,
    check_layout,
    has_conditioners,
)
from .modules import load_module
from .objective_probe import probe_objective
from .part_files import SynchformerFile, TextEncoderFile, VaeFile, prompt_vae
from .released_files import EMBEDDED, checkpoint_path
from .weight_file import WeightFile, differing, open_weights

logger = logging.getLogger(__name__)

# of the time of loading a released model, after the conditioners and after the backbone
CONDITIONERS_SHARE, BACKBONE_SHARE = 0.25, 0.9

P = TypeVar("P")


@dataclass(frozen=True)
class Checkpoint(ModelHost):
    """A loaded model: its parts in the order of the pipeline; the host of every step."""

    conditioners: Conditioners
    backbone: Backbone
    vae: Oobleck
    config: AudioXConfig
    path: Path

    def use(self, name: Part) -> nn.Module:
        """The module itself. Raises WeightsError where its file was not found."""
        module = self.vae if name == "vae" else getattr(self.conditioners, name)
        check_present(module)
        return module

    def __repr__(self) -> str:
        dtype = str(self.dtype).removeprefix("torch.")
        return f"Checkpoint({self.variant}, {self.path.name}, {dtype} on {self.device})"

    @property
    def variant(self) -> str:
        """Which of the family it is."""
        return self.config.variant

    @property
    def device(self) -> torch.device:
        """Where the parts are."""
        return self.backbone.transformer.project_in.weight.device

    @property
    def dtype(self) -> torch.dtype:
        """What the backbone computes in."""
        return self.backbone.transformer.project_in.weight.dtype


@dataclass(frozen=True)
class CheckpointFile:
    """A file whose variant, sizes and auxiliary files are known; the loaders only read.

    A part that was not found, or that does not fit, is a `MissingModule`: using it is an error.
    """

    weights: WeightFile
    config: AudioXConfig
    source: str  # of the config, in words
    text_encoder: TextEncoderFile | MissingModule
    vae: VaeFile | MissingModule
    synchformer: SynchformerFile | MissingModule | None  # None: the variant has none

    def __repr__(self) -> str:
        return f"CheckpointFile({self.variant}, {self.path.name})"

    @property
    def path(self) -> Path:
        """Of the model's own file."""
        return self.weights.path

    @property
    def variant(self) -> str:
        """Which of the family it is."""
        return self.config.variant

    def load_backbone(
        self,
        *,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
        ops: Any = nn,
        attention: AttentionFn = torch_attention,
        build: Callable[..., Backbone] = backbone,
        packed: Callable[[dict[str, Tensor]], dict[str, Tensor]] | None = None,
    ) -> Backbone:
        """The diffusion transformer.

        Args:
            dtype: of the weights.
            device: of the weights.
            ops: the layers' classes, `torch.nn` or a host's.
            attention: the attention kernel.
            build: makes the module from `config.dit`, `ops` and `attention`.
            packed: from the stored tensors of quantized layers to those that `ops` read; None
                loads plain numbers.

        Raises:
            WeightsError: the file's transformer is not whole.
        """
        check_layout(self.weights, self.config, "backbone")
        if self.config.note:
            logger.warning("%s: %s", self.path.name, self.config.note)
        build = partial(build, self.config.dit, ops=ops, attention=attention)
        where = {"dtype": dtype, "device": device}
        if packed is None or self.weights.packed is None:
            return load_module(self.weights, DIT, build, canonical=rename_norms, **where)

        def canonical(state: dict[str, Tensor]) -> dict[str, Tensor]:
            return packed(rename_norms(state))

        return load_module(self.weights.packed, DIT, build, canonical=canonical, **where)

    def load_conditioners(
        self, *, device: torch.device | str = "cpu", sync_dtype: torch.dtype = torch.float32
    ) -> Conditioners:
        """All encoders, in float32, and what fuses their tokens.

        A text encoder or Synchformer that was not found, or does not fit, is a `MissingModule`.

        Args:
            device: of the weights.
            sync_dtype: of Synchformer; the other encoders compute for a short time only.

        Raises:
            WeightsError: the file's conditioners are not whole.
        """
        file, config = self.weights, self.config
        text, sync = self.text_encoder, self.synchformer
        self._check_conditioners()
        if isinstance(text, TextEncoderFile):
            text = text.load(config.text_tokens, device=device)
        if isinstance(sync, SynchformerFile):
            sync = sync.load(device=device, dtype=sync_dtype)
        load = partial(load_module, file, device=device)
        video = load(VIDEO, partial(video_conditioner, config.video))
        maf = config.maf and load(MAF, partial(MAFBlock, config.maf))
        audio = self._audio_conditioner()
        return Conditioners(text, video, audio, sync=sync, maf=maf).to(device)

    def _check_conditioners(self) -> None:
        if not has_conditioners(self.weights):
            raise WeightsError(TRANSFORMER_ONLY.format(self.path.name))
        check_layout(self.weights, self.config, "conditioners")

    def _audio_conditioner(self) -> AnyAudioConditioner:
        prompt_vae = self.prompt_vae()
        vae = None if prompt_vae is None or self._decodes(prompt_vae) else prompt_vae.load()
        own = {} if vae is None else {f"vae.{n}": t for n, t in vae.state_dict().items()}

        def with_vae(state: dict[str, Tensor]) -> dict[str, Tensor]:
            return state | own

        build = partial(audio_conditioner, self.config, vae)
        return load_module(self.weights, AUDIO, build, canonical=with_vae, without=AUDIO_VAE)

    def prompt_vae(self) -> VaeFile | None:
        """The VAE of audio prompts in the model's own file; None where there is none."""
        return prompt_vae(self.weights, self.config)

    def _decodes(self, prompt_vae: VaeFile) -> bool:
        """Whether the VAE that decodes is the one of audio prompts, or there is no other."""
        file = self.weights
        decodes = isinstance(self.vae, MissingModule) or self.vae.weights is file
        return decodes and not differing(file, VAE, file, prompt_vae.prefix)

    def load_vae(
        self,
        *,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
        ops: Any = nn,
    ) -> Oobleck:
        """The VAE that encodes and decodes latents.

        Args:
            device, dtype: of the weights.
            ops: the layers' classes, `torch.nn` or a host's.

        Raises:
            WeightsError: it was not found, it is not whole, or it does not fit the model.
        """
        return self.vae.load(device=device, dtype=dtype, ops=ops)

    def load(
        self,
        *,
        dtype: torch.dtype | None = None,
        device: torch.device | str = "cpu",
        on_progress: Callable[[float], None] = lambda _: None,
    ) -> Checkpoint:
        """All parts; whether they are there and whole is checked before anything is read.

        Args:
            dtype: of the backbone; None takes what fits the device, see `choose_precision`.
            device: of all parts.
            on_progress: called after each part with the share that is done, 0..1.

        Raises:
            WeightsError: a part is missing or not whole.
        """
        self.check()
        precision = choose_precision(torch.device(device), dtype)
        conditioners = self.load_conditioners(device=device, sync_dtype=precision.sync)
        on_progress(CONDITIONERS_SHARE)
        backbone = self.load_backbone(dtype=precision.backbone, device=device)
        on_progress(BACKBONE_SHARE)
        vae = self.load_vae(device=device, dtype=precision.vae)
        on_progress(1.0)
        return Checkpoint(conditioners, backbone, vae, self.config, self.path)

    def check(self) -> None:
        """Raise WeightsError if a part that every run needs is missing or not whole."""
        self._check_conditioners()
        check_layout(self.weights, self.config)
        for part in (self.text_encoder, self.vae):
            if isinstance(part, MissingModule):
                part()


def open_checkpoint(
    path: str | Path | None = None,
    *,
    text_encoder: str | Path | None = None,
    vae: str | Path | None = None,
    synchformer: str | Path | None = None,
    config: str | Path | None = None,
    variant: str | None = None,
    text_encoder_folders: Sequence[Path] = (),
    tokenizer: Path | None = None,
) -> CheckpointFile:
    """Open a checkpoint, decide once which model it is, and find its auxiliary files.

    Args:
        path: `.safetensors` or `.ckpt`, or the name of a released model in `models/`, such as
            `turbo`; None is the embedded model.
        text_encoder: T5-base weights or their folder; None takes the checkpoint's own, else looks
            beside the checkpoint and in `models/`.
        vae: another VAE for decoding; audio prompts keep the checkpoint's. None takes the
            checkpoint's own, else the one beside it.
        synchformer: Synchformer's weights, for the MAF line; None takes the checkpoint's own, else
            looks beside the checkpoint and in `models/audiox`.
        config: the release's config.json; None takes the one beside the checkpoint, if any.
        variant: a key of `VARIANTS`, where a file does not tell which of them it is.
        text_encoder_folders: where a host keeps text encoders; searched first.
        tokenizer: T5's tokenizer.json for weights that have none beside them.

    Raises:
        WeightsError: a file is missing or damaged, holds no AudioX model, or nothing tells which.
    """
    file = open_weights(EMBEDDED if path is None else checkpoint_path(local_path(path)))
    config_json = auxiliary.find_config(file.path) if config is None else local_path(config)
    probe = partial(probe_objective, file)
    resolved, source = detect(file, config_json, variant=variant, probe=probe)
    logger.info("%s: %s, sizes from %s", file.path.name, resolved.variant, source)
    if text_encoder is not None and Path(text_encoder).is_dir():
        text_encoder = Path(text_encoder) / "model.safetensors"

    def part(
        prefix: str,
        given: str | Path | None,
        found: Path | None,
        open_part: Callable[[WeightFile, AudioXConfig], P],
        missing: str,
    ) -> P | MissingModule:
        """As given, in the model's own file, or as found; only what was given must fit."""
        if given is not None:
            return open_part(open_weights(given), resolved)
        try:
            if file.below(prefix):
                return open_part(file, resolved)
            return open_part(open_weights(found), resolved) if found else MissingModule(missing)
        except WeightsError as error:
            return MissingModule(str(error))

    beside = tokenizer is None  # only weights with a tokenizer of their own
    found = auxiliary.find_text_encoder(file.path, text_encoder_folders, tokenizer=beside)
    missing = auxiliary.missing_text_encoder(file.path)
    open_text = partial(part_files.text_encoder_in, tokenizer=tokenizer)
    text_part = part(TEXT, text_encoder, found, open_text, missing)
    missing = auxiliary.missing_vae(file.path, resolved.variant)
    vae_part = part(
        VAE, vae, auxiliary.find_vae(file.path, resolved.variant), part_files.vae_in, missing
    )
    sync, sync_part = resolved.video.sync, None
    if sync is not None:
        found = auxiliary.find_synchformer(file.path)
        missing = auxiliary.missing_synchformer(file.path)
        sync_part = part(SYNC, synchformer, found, part_files.synchformer_in, missing)
    elif synchformer is not None:
        logger.warning("%s does not use Synchformer: %s is ignored.", resolved.variant, synchformer)
    if sync is not None and isinstance(sync_part, SynchformerFile):  # tells its sizes
        sync = replace(sync, encoder=sync_part.sizes)
        resolved = replace(resolved, video=replace(resolved.video, sync=sync))
    return CheckpointFile(file, resolved, source, text_part, vae_part, sync_part)


def load_checkpoint(
    path: str | Path | None = None,
    *,
    text_encoder: str | Path | None = None,
    vae: str | Path | None = None,
    synchformer: str | Path | None = None,
    config: str | Path | None = None,
    variant: str | None = None,
    dtype: torch.dtype | None = None,
    device: torch.device | str | None = None,
) -> Checkpoint:
    """Load a checkpoint of the AudioX family whole.

    Args:
        path, text_encoder, vae, synchformer, config, variant: as in `open_checkpoint`.
        dtype: of the backbone; None takes what fits the device, see `choose_precision`.
        device: of all parts; None takes the best there is.

    Raises:
        WeightsError: a file is missing, damaged, or not what it should be.
        SettingsError: the device cannot be used.
    """
    if not isinstance(dtype, torch.dtype | None):
        raise SettingsError(f"dtype is {shown(dtype)}: pass a dtype of torch, or leave it out.")
    file = open_checkpoint(
        path,
        text_encoder=text_encoder,
        vae=vae,
        synchformer=synchformer,
        config=config,
        variant=variant,
    )
    return file.load(dtype=dtype, device=choose_device(None if device is None else str(device)))
