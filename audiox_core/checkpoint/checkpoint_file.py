"""A checkpoint of the AudioX family: opened and detected once, then loaded in whole or in parts."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..conditioners.assemble import Conditioners
from ..conditioners.audio import AnyAudioConditioner, audio_conditioner
from ..conditioners.host import ModelHost, Part
from ..conditioners.missing_module import MissingModule, check_present
from ..conditioners.video import video_conditioner
from ..config import AudioXConfig
from ..device import choose_device
from ..errors import WeightsError
from ..models import Backbone, backbone
from ..models.attention import AttentionFn, torch_attention
from ..models.dit import rename_norms
from ..models.maf import MAFBlock
from ..models.oobleck import Oobleck
from .auxiliary_files import (
    find_config,
    find_synchformer,
    find_text_encoder,
    find_vae,
    missing_synchformer,
    missing_text_encoder,
    missing_vae,
)
from .detect import detect
from .layout import AUDIO, AUDIO_VAE, DIT, MAF, SYNC, TEXT, VAE, VIDEO, check_layout
from .modules import load_module
from .objective_probe import probe_objective
from .part_files import (
    SynchformerFile,
    TextEncoderFile,
    VaeFile,
    open_text_encoder,
    same_below,
    synchformer_in,
    vae_in,
)
from .weight_file import WeightFile, open_weights

logger = logging.getLogger(__name__)

EMBEDDED = Path(__file__).parents[1] / "assets" / "audiox-nano.safetensors"


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

    A missing auxiliary file is an error where a part that needs it is used.
    """

    weights: WeightFile
    config: AudioXConfig
    source: str  # of the config, in words
    text_encoder_path: Path | None  # None: the file's own, or none was found
    vae_path: Path | None
    # None: the variant has none; a `MissingModule`: none was found, or the one found is broken
    synchformer: SynchformerFile | MissingModule | None

    @property
    def path(self) -> Path:
        """Of the model's own file."""
        return self.weights.path

    @property
    def variant(self) -> str:
        """Which of the family it is."""
        return self.config.variant

    @property
    def has_text_encoder(self) -> bool:
        """Whether the file holds a text encoder, or one was found."""
        return self.text_encoder_path is not None or bool(self.weights.below(TEXT))

    @cached_property
    def text_encoder(self) -> TextEncoderFile:
        """Where the text encoder is. Raises WeightsError where it is missing or does not fit."""
        if not self.has_text_encoder:
            raise WeightsError(missing_text_encoder(self.path))
        return open_text_encoder(self.weights, self.text_encoder_path, self.config)

    @cached_property
    def vae(self) -> VaeFile:
        """Where the VAE is. Raises WeightsError where it is missing or does not fit."""
        if self.vae_path is not None:
            return self._other_vae(self.vae_path)
        if not self.weights.below(VAE):
            raise WeightsError(missing_vae(self.path, self.variant))
        check_layout(self.weights, self.config, "vae")
        return VaeFile(self.weights, VAE, self.config.vae, self.config.latent)

    def _other_vae(self, path: Path) -> VaeFile:
        vae, latent = vae_in(open_weights(path)), self.config.latent
        sizes = vae.sizes
        if (sizes.latent_channels, sizes.hop_length) != (latent.channels, latent.hop_length):
            raise WeightsError(
                f"{path.name} uses latents with {sizes.latent_channels} channels and "
                f"{sizes.hop_length} samples per frame, but the model uses {latent.channels} and "
                f"{latent.hop_length}: use a VAE of the AudioX family."
            )
        return replace(vae, latent=latent)

    def load_backbone(
        self,
        *,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
        ops: Any = nn,
        attention: AttentionFn = torch_attention,
        build: Callable[..., Backbone] = backbone,
    ) -> Backbone:
        """The diffusion transformer.

        Args:
            dtype: of the weights.
            device: of the weights.
            ops: the layers' classes, `torch.nn` or a host's.
            attention: the attention kernel.
            build: makes the module from `config.dit`, `ops` and `attention`.

        Raises:
            WeightsError: the file's transformer is not whole.
        """
        check_layout(self.weights, self.config, "backbone")
        return self._backbone(dtype, partial(build, ops=ops, attention=attention)).to(device)

    def _backbone(self, dtype: torch.dtype, build: Callable[..., Backbone]) -> Backbone:
        if self.config.note:
            logger.warning("%s: %s", self.path.name, self.config.note)
        build = partial(build, self.config.dit)
        return load_module(self.weights, DIT, build, canonical=rename_norms, dtype=dtype)

    def load_conditioners(self, *, device: torch.device | str = "cpu") -> Conditioners:
        """All encoders, in float32, and what fuses their tokens.

        In place of a text encoder or Synchformer that was not found is a `MissingModule`.

        Raises:
            WeightsError: the file's conditioners are not whole, or a file that was found does not
                fit the model.
        """
        check_layout(self.weights, self.config, "conditioners")
        return self._conditioners().to(device)

    def _conditioners(self) -> Conditioners:
        file, config, sync = self.weights, self.config, self.synchformer
        if self.has_text_encoder:
            text = self.text_encoder.load(config.text_tokens)
        else:
            text = MissingModule(missing_text_encoder(self.path))
        if isinstance(sync, SynchformerFile):
            sync = sync.load()
        video = load_module(file, VIDEO, partial(video_conditioner, config.video))
        maf = config.maf and load_module(file, MAF, partial(MAFBlock, config.maf))
        return Conditioners(text, video, self._audio_conditioner(), sync=sync, maf=maf)

    def _audio_conditioner(self) -> AnyAudioConditioner:
        prompt_vae = self._prompt_vae()
        vae = None if prompt_vae is None else prompt_vae.load()
        own = {} if vae is None else {f"vae.{n}": t for n, t in vae.state_dict().items()}

        def with_vae(state: dict[str, Tensor]) -> dict[str, Tensor]:
            return state | own

        build = partial(audio_conditioner, self.config, vae)
        return load_module(self.weights, AUDIO, build, canonical=with_vae, without=AUDIO_VAE)

    def _prompt_vae(self) -> VaeFile | None:
        """The VAE of audio prompts where it is another than the one that decodes."""
        file, config = self.weights, self.config
        if config.mel is not None:
            return None
        main, copy = (VaeFile(file, p, config.vae, config.latent) for p in (VAE, AUDIO_VAE))
        if not file.below(AUDIO_VAE):
            return main if self.vae_path is not None and file.below(VAE) else None
        equal = self.vae_path is None and same_below(file, VAE, file, AUDIO_VAE)
        return None if equal else copy

    def load_vae(self, *, device: torch.device | str = "cpu", ops: Any = nn) -> Oobleck:
        """The VAE that encodes and decodes latents, in float32.

        Args:
            device: of the weights.
            ops: the layers' classes, `torch.nn` or a host's.

        Raises:
            WeightsError: it was not found, it is not whole, or it does not fit the model.
        """
        return self.vae.load(device=device, ops=ops)

    def load(
        self, *, dtype: torch.dtype = torch.float32, device: torch.device | str = "cpu"
    ) -> Checkpoint:
        """All parts; whether they are there and whole is checked before anything is read.

        Args:
            dtype: of the backbone. Encoders and VAE run once a clip and stay float32.
            device: of all parts.

        Raises:
            WeightsError: a part is missing or not whole.
        """
        check_layout(self.weights, self.config)
        _ = self.text_encoder, self.vae
        return Checkpoint(
            self._conditioners().to(device),
            self._backbone(dtype, backbone).to(device),
            self.load_vae(device=device),
            self.config,
            self.path,
        )


def open_checkpoint(
    path: str | Path | None = None,
    *,
    text_encoder: str | Path | None = None,
    vae: str | Path | None = None,
    synchformer: str | Path | None = None,
    config: str | Path | None = None,
    variant: str | None = None,
    text_encoder_folders: Sequence[Path] = (),
) -> CheckpointFile:
    """Open a checkpoint, decide once which model it is, and find its auxiliary files.

    Args:
        path: `.safetensors` or `.ckpt`; None is the embedded model.
        text_encoder: T5-base weights or their folder; None takes the checkpoint's own, else looks
            beside the checkpoint and in `models/`.
        vae: another VAE for decoding; audio prompts keep the checkpoint's. None takes the
            checkpoint's own, else the one beside it.
        synchformer: Synchformer's weights, for the MAF line; None takes the checkpoint's own, else
            looks beside the checkpoint and in `models/audiox`.
        config: the release's config.json; None takes the one beside the checkpoint, if any.
        variant: a key of `VARIANTS`, where a file does not tell which of them it is.
        text_encoder_folders: where a host keeps text encoders; searched first.

    Raises:
        WeightsError: a file is missing or damaged, holds no AudioX model, or nothing tells which.
    """
    file = open_weights(EMBEDDED if path is None else path)
    config_json = find_config(file.path) if config is None else Path(config)
    probe = partial(probe_objective, file)
    resolved, source = detect(file, config_json, variant=variant, probe=probe)
    logger.info("%s: %s, sizes from %s", file.path.name, resolved.variant, source)
    sync = _synchformer(file, resolved, None if synchformer is None else Path(synchformer))
    if isinstance(sync, SynchformerFile) and resolved.video.sync is not None:  # tells its sizes
        sizes = replace(resolved.video.sync, encoder=sync.sizes)
        resolved = replace(resolved, video=replace(resolved.video, sync=sizes))
    text = None if text_encoder is None else Path(text_encoder)
    if text is not None and text.is_dir():
        text = text / "model.safetensors"
    elif text is None and not file.below(TEXT):
        text = find_text_encoder(file.path, text_encoder_folders)
    vae_path = None if vae is None else Path(vae)
    if vae_path is None and not file.below(VAE):
        vae_path = find_vae(file.path)
    return CheckpointFile(file, resolved, source, text, vae_path, sync)


def _synchformer(
    file: WeightFile, config: AudioXConfig, given: Path | None
) -> SynchformerFile | MissingModule | None:
    """As given, in the model's own file, or beside it; None: the variant has none."""
    if config.video.sync is None:
        if given is not None:
            logger.warning("%s does not use Synchformer: %s is ignored.", config.variant, given)
        return None
    if given is not None:
        return synchformer_in(open_weights(given), config)
    path = None if file.below(SYNC) else find_synchformer(file.path)
    if path is None and not file.below(SYNC):
        return MissingModule(missing_synchformer(file.path))
    try:
        return synchformer_in(file if path is None else open_weights(path), config)
    except WeightsError as error:  # an error for who uses it; the transformer does without
        return MissingModule(str(error))


def load_checkpoint(
    path: str | Path | None = None,
    *,
    text_encoder: str | Path | None = None,
    vae: str | Path | None = None,
    synchformer: str | Path | None = None,
    config: str | Path | None = None,
    variant: str | None = None,
    dtype: torch.dtype = torch.float32,
    device: torch.device | str | None = None,
) -> Checkpoint:
    """Load a checkpoint of the AudioX family whole.

    Args:
        path, text_encoder, vae, synchformer, config, variant: as in `open_checkpoint`.
        dtype: of the backbone. Encoders and VAE run once a clip and stay float32.
        device: of all parts; None takes the best there is.

    Raises:
        WeightsError: a file is missing, damaged, or not what it should be.
        SettingsError: the device cannot be used.
    """
    file = open_checkpoint(
        path,
        text_encoder=text_encoder,
        vae=vae,
        synchformer=synchformer,
        config=config,
        variant=variant,
    )
    return file.load(dtype=dtype, device=choose_device(None if device is None else str(device)))
