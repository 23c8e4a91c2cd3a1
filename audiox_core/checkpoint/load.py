"""A checkpoint file -> modules with weights, strictly: every name and shape is checked first.

Cheaply: what is used as it is stored stays mapped to its file, what is computed from it is read
past the map, tensor by tensor; of parts that are not asked for nothing is read.
"""

import logging
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from ..conditioners.assemble import Conditioners
from ..conditioners.audio import AnyAudioConditioner, MelAudioConditioner, audio_conditioner
from ..conditioners.host import ModelHost, Part
from ..conditioners.encoders import clip_vision, t5_encoder, tie_embedding
from ..conditioners.text import TextConditioner
from ..conditioners.video import VideoConditioner
from ..config import AudioXConfig, LatentConfig, OobleckConfig, SynchformerConfig, TextConfig
from ..errors import SettingsError, WeightsError
from ..models import Backbone, backbone
from ..models.attention import AttentionFn, torch_attention
from ..models.dit import rename_norms
from ..models.maf import MAFBlock
from ..models.oobleck import Oobleck, fold_weight_norm
from ..models.synchformer import Synchformer
from .companions import (
    find_config,
    find_text_encoder,
    find_vae,
    load_tokenizer,
    read_tokenizer,
    search_synchformer,
)
from .detect import detect, oobleck_from_shapes, synchformer_from_shapes, text_from_shapes
from .layout import (
    AUDIO,
    AUDIO_VAE,
    DIT,
    MAF,
    SYNC,
    SYNC_ENCODER,
    TEXT,
    VAE,
    VIDEO,
    compare,
    oobleck_layout,
    released_layout,
    synchformer_layout,
    text_layout,
    used,
)
from .weight_file import Shape, WeightFile, open_weights, same_tensor

logger = logging.getLogger(__name__)

EMBEDDED = Path(__file__).parents[1] / "assets" / "audiox-nano.safetensors"

PARTS = ("conditioners", "model", "vae")
# what the conditioners consist of: a host that has a text encoder of its own leaves "text" out
CONDITIONERS = ("text", "video", "audio")

# in half precision the frequencies of the diffusion time would be off by up to 0.05 %
KEPT_FLOAT32 = ("timestep_features.weight",)

PROBE = 0.5  # of the noise in the answer to it: between v-prediction's 0 and rectified flow's 1

M = TypeVar("M", bound=nn.Module)


@dataclass(frozen=True)
class Checkpoint(ModelHost):
    """A loaded model: the parts of the road, in its order. Parts not asked for are None."""

    conditioners: Conditioners | None
    model: Backbone | None
    vae: Oobleck | None
    config: AudioXConfig
    path: Path

    @property
    def backbone(self):
        return self.model

    def use(self, name: Part) -> nn.Module:
        """The module itself."""
        return self.vae if name == "vae" else getattr(self.conditioners, name)

    @property
    def variant(self) -> str:
        """Which of the family it is."""
        return self.config.variant

    @property
    def device(self) -> torch.device:
        """Where the parts are."""
        part = next(p for p in (self.model, self.vae, self.conditioners) if p is not None)
        return next(part.parameters()).device

    @property
    def dtype(self) -> torch.dtype:
        """What the backbone computes in; of a checkpoint without it, float32."""
        if self.model is None:
            return torch.float32
        return self.model.transformer.project_in.weight.dtype


def load_checkpoint(
    path: str | Path | None = None, *,
    parts: Collection[str] = PARTS,
    text_encoder: str | Path | None = None, vae: str | Path | None = None,
    synchformer: str | Path | None = None,
    config: str | Path | None = None, variant: str | None = None,
    dtype: torch.dtype = torch.float32, device: torch.device | str = "cpu",
    ops: Any = nn, attention: AttentionFn = torch_attention,
    transformer: Callable[..., Backbone] = backbone,
) -> Checkpoint:  # fmt: skip
    """Load a checkpoint of the AudioX family, or some of its parts.

    Args:
        path: `.safetensors` or `.ckpt`; None is the embedded model.
        parts: of "conditioners" (or of these "text", "video", "audio"), "model", "vae"; only what
            they need is checked and read.
        text_encoder: T5-base weights or their folder; None looks beside the checkpoint and in
            `models/`. The embedded model brings its own.
        vae: another VAE for decoding; audio prompts keep the checkpoint's. Some releases have
            theirs in a file of its own: None takes the one beside the checkpoint.
        synchformer: weights of Synchformer, which the MAF line watches videos with; None looks
            beside the checkpoint and in `models/audiox`. Without it all but videos works.
        config: the release's config.json; None takes the one beside the checkpoint, if any.
        variant: a key of `VARIANTS`, where a file does not tell which of them it is.
        dtype: of the transformer. Encoders and VAE run once a clip and stay float32.
        device: of all parts.
        ops, attention: layers and kernel of the transformer and the VAE, for hosts.
        transformer: builds the module, for hosts that call it in their own way.

    Raises:
        WeightsError: a file is missing, damaged, or not what it should be.
        SettingsError: `parts` names none, or one that does not exist.
    """
    if not parts or isinstance(parts, str) or set(parts) - {*PARTS, *CONDITIONERS}:
        raise SettingsError(f"The parts {parts!r} cannot be loaded: name some of {PARTS}.")
    parts = set(parts) | (set(CONDITIONERS) if "conditioners" in parts else set())
    file = open_weights(EMBEDDED if path is None else path)
    given = Path(config) if config is not None else find_config(file.path)
    settings, source = settings_of(file, given, variant)
    logger.info("%s: %s, sizes from %s", file.path.name, settings.variant, source)
    if settings.note and "model" in parts:  # once, however many parts are loaded one by one
        logger.warning("%s: %s", file.path.name, settings.note)
    if "model" in parts and not file.below(DIT):  # a part alone, which no text encoder completes
        check_layout(file, settings, parts)
    text = None if text_encoder is None else Path(text_encoder)
    texts = _plan_text(file, settings, text) if "text" in parts else None
    other_vae = None if vae is None else Path(vae)
    if other_vae is None and "vae" in parts and not file.below(VAE):
        other_vae = find_vae(file.path, settings.variant)
    check_layout(file, settings, parts, own_vae=other_vae is None)
    vaes = _plan_vaes(file, settings, other_vae, parts)
    sync = None
    if "video" in parts and settings.video.sync is not None:
        sync = _plan_synchformer(file, settings, None if synchformer is None else Path(synchformer))
        if sync is not None:  # whose own file tells its sizes
            watched = replace(settings.video.sync, encoder=sync.sizes)
            settings = replace(settings, video=replace(settings.video, sync=watched))
    decoder, prompt_vae = (vae and vae.load(ops) for vae in vaes)
    checkpoint = Checkpoint(
        conditioners=_load_conditioners(file, settings, parts, texts, prompt_vae, sync=sync),
        model=_load_part(
            file,
            DIT,
            partial(transformer, settings.dit, ops=ops, attention=attention),
            canonical=rename_norms,
            dtype=dtype,
        )
        if "model" in parts
        else None,
        vae=decoder,
        config=settings,
        path=file.path,
    )
    for part in (checkpoint.conditioners, checkpoint.model, checkpoint.vae):
        if part is not None:
            part.to(device)
    return checkpoint


def settings_of(
    file: WeightFile, config_json: Path | None = None, variant: str | None = None
) -> tuple[AudioXConfig, str]:
    """The config of the model in a file, and where it was found; as `detect`, but it can ask."""
    return detect(file, config_json, variant=variant, probe=partial(_objective, file))


def _objective(file: WeightFile, config: AudioXConfig) -> str:
    """What a backbone was trained to predict, by its answer to pure noise."""
    logger.info("%s does not say what it is: asking the model", file.path.name)
    return objective_of(noise_in_answer(file, config))


def objective_of(share: float) -> str:
    """The objective that `noise_in_answer` speaks for."""
    return "rectified_flow" if share > PROBE else "v"


def noise_in_answer(file: WeightFile, config: AudioXConfig) -> float:
    """How much of the noise is in a backbone's answer to pure noise at t = 1.

    A rectified flow answers noise - clean, which lies along the noise (1); v-prediction answers
    -clean, which does not (0). Loads the backbone.
    """
    model = _load_part(file, DIT, partial(backbone, config.dit), canonical=rename_norms)
    noise = torch.randn(
        1, config.latent.channels, config.latent.window,
        generator=torch.Generator().manual_seed(0),
    )  # fmt: skip
    with torch.inference_mode():
        answer = model(noise, torch.ones(1))
    return ((answer * noise).sum() / noise.square().sum()).item()


def check_layout(
    file: WeightFile, config: AudioXConfig, parts: Collection[str] = PARTS, *, own_vae: bool = True
) -> None:
    """Raise WeightsError unless the file holds exactly the tensors of `parts`.

    Args:
        file, config: a model and its sizes.
        parts: as in `load_checkpoint`; with all of them nothing else may be in the file.
        own_vae: False where a VAE from elsewhere replaces the file's, which then may miss it.
    """
    prompt_vae = bool(file.below(AUDIO_VAE))
    layout = released_layout(config, prompt_vae=prompt_vae)
    known = {"model": (DIT,), "video": (VIDEO,), "audio": (AUDIO,), "vae": (VAE,)}
    known["conditioners"] = (VIDEO, AUDIO, MAF)
    prefixes = tuple(prefix for part in parts for prefix in known.get(part, ()))
    if not own_vae and not file.below(VAE):
        layout = {name: shape for name, shape in layout.items() if not name.startswith(VAE)}
    whole = set(PARTS) <= set(parts)
    found = {
        name: shape
        for name, shape in file.shapes.items()
        if name.startswith(prefixes) or (whole and not name.startswith((TEXT, SYNC)))
    }
    expected = {name: shape for name, shape in layout.items() if name.startswith(prefixes)}
    raise_differences(file, found, expected, "AudioX model")


def raise_differences(
    file: WeightFile, found: Mapping[str, Shape], expected: Mapping[str, Shape], what: str
) -> None:
    """Raise WeightsError where tensors are missing, unexpected or misshapen."""
    if differences := compare(found, expected):
        raise WeightsError(
            f"{file.path.name} is not a whole {what}; of its tensors are {differences}. Choose "
            "the file as it was released or converted."
        )


def _load_conditioners(
    file: WeightFile, config: AudioXConfig, parts: Collection[str], text: "_Text | None",
    prompt_vae: Oobleck | None, *, sync: "_Sync | None",
) -> Conditioners | None:  # fmt: skip
    if not set(CONDITIONERS) & set(parts):
        return None
    return Conditioners(
        text and text.load(config),
        _load_video(file, config) if "video" in parts else None,
        _load_audio(file, config, prompt_vae) if "audio" in parts else None,
        sync=sync and sync.load(),
        maf=config.maf and _load_part(file, MAF, partial(MAFBlock, config.maf)),
    )


def _load_video(file: WeightFile, config: AudioXConfig) -> VideoConditioner:
    video = config.video
    return _load_part(
        file, VIDEO, lambda: VideoConditioner(video, video.clip.tokens, clip_vision(video.clip))
    )


def _load_audio(
    file: WeightFile, config: AudioXConfig, prompt_vae: Oobleck | None
) -> AnyAudioConditioner:
    build = partial(audio_conditioner, config)
    audio = _load_part(file, AUDIO, build, without=AUDIO_VAE)
    if not isinstance(audio, MelAudioConditioner):
        audio.vae = prompt_vae
    return audio


@dataclass(frozen=True)
class _Sync:
    """Where a Synchformer comes from; checked."""

    file: WeightFile
    prefix: str
    sizes: SynchformerConfig

    def load(self) -> Synchformer:
        return _load_part(self.file, self.prefix, partial(Synchformer, self.sizes))


def _plan_synchformer(
    file: WeightFile, config: AudioXConfig, argument: Path | None
) -> _Sync | None:
    """From the model's own file, or one of its own; None where there is none."""
    if argument is None and file.below(SYNC):
        source, prefix = file, SYNC + SYNC_ENCODER
    else:
        path = argument or search_synchformer(file.path)
        if path is None:
            return None  # text and sound prompts need none; a video asks for it
        source, prefix = open_weights(path), SYNC_ENCODER
    return _Sync(source, prefix, check_synchformer(source, prefix, config))


def check_synchformer(file: WeightFile, prefix: str, config: AudioXConfig) -> SynchformerConfig:
    """The sizes of a Synchformer. Raises WeightsError where it is none, or not whole."""
    if not file.below(prefix):
        raise WeightsError(
            f"{file.path.name} is no Synchformer: it holds no '{prefix}…'. Take "
            "synchformer_state_dict.pth (`python -m audiox_core fetch synchformer`)."
        )
    sizes = synchformer_from_shapes(file.shapes, prefix)
    if sizes.width != config.video.clip.width:
        raise WeightsError(
            f"{file.path.name} makes features of width {sizes.width}, the model reads "
            f"{config.video.clip.width}: take synchformer_state_dict.pth of the release."
        )
    found = {name: file.shapes[name] for name in file.below(prefix)}
    raise_differences(file, found, synchformer_layout(sizes, prefix), "Synchformer")
    return sizes


@dataclass(frozen=True)
class _Text:
    """Where a text encoder comes from; checked."""

    file: WeightFile
    prefix: str
    sizes: TextConfig
    tokenizer: Any

    def load(self, config: AudioXConfig) -> TextConditioner:
        build = partial(t5_encoder, self.sizes)
        encoder = _load_part(self.file, self.prefix, build, canonical=tie_embedding)
        return TextConditioner(encoder, config.text_tokens, self.tokenizer)


def _plan_text(file: WeightFile, config: AudioXConfig, argument: Path | None) -> _Text:
    if argument is None and file.below(TEXT):
        prefix, tokenizer = TEXT, read_tokenizer(file.header.get("tokenizer", ""), file.path)
    else:
        file = open_weights(find_text_encoder(argument, file.path))
        prefix = ""
        if "shared.weight" not in file.shapes:
            raise WeightsError(
                f"{file.path.name} is no T5 text encoder: it holds no 'shared.weight'. "
                "Take model.safetensors of google-t5/t5-base."
            )
        tokenizer = load_tokenizer(file.path)
    sizes = text_from_shapes(file.shapes, prefix)
    if sizes.width != config.dit.cond_dim:
        raise WeightsError(
            f"{file.path.name} makes text tokens of width {sizes.width}, the model reads "
            f"{config.dit.cond_dim}: give the text encoder that the model was trained with "
            "(T5-base, 768, for AudioX v1)."
        )
    if (known := tokenizer.get_vocab_size()) > sizes.vocab_size:
        raise WeightsError(
            f"The tokenizer knows {known} pieces, the text encoder in {file.path.name} "
            f"{sizes.vocab_size}: they do not belong together."
        )
    found = {name: file.shapes[name] for name in file.below(prefix)}
    raise_differences(file, found, text_layout(sizes, prefix), "T5 text encoder")
    return _Text(file, prefix, sizes, tokenizer)


@dataclass(frozen=True)
class _Vae:
    """Where a VAE comes from; checked by whoever plans it."""

    file: WeightFile
    prefix: str
    sizes: OobleckConfig

    def load(self, ops: Any) -> Oobleck:
        build = partial(Oobleck, self.sizes, ops=ops)
        fold = partial(fold_weight_norm, in_place=True)  # else it would be held twice
        return _load_part(self.file, self.prefix, build, canonical=fold, own=True)


def _plan_vaes(
    file: WeightFile, config: AudioXConfig, path: Path | None, parts: Collection[str]
) -> tuple[_Vae | None, _Vae | None]:
    """The VAE that decodes, and one for prompts where that is another."""
    main, copy = _Vae(file, VAE, config.vae), _Vae(file, AUDIO_VAE, config.vae)
    other = None if path is None else _other_vae(path, config)
    decoder = (other or main) if "vae" in parts else None
    if "audio" not in parts or config.mel is not None:
        return decoder, None
    if not file.below(AUDIO_VAE):
        return decoder, main if other and file.below(VAE) else None
    shared = other is None and same_below(file, VAE, file, AUDIO_VAE)
    return decoder, None if shared else copy


def load_vae(path: Path, *, ops: Any = nn) -> tuple[Oobleck, LatentConfig]:
    """The VAE of a file that may hold nothing else, such as VAE.ckpt, and its latent grid."""
    vae = _vae_of(open_weights(path))
    sizes = {"channels": vae.sizes.latent_channels, "hop_length": vae.sizes.hop_length}
    return vae.load(ops), replace(LatentConfig(), **sizes)


def _other_vae(path: Path, config: AudioXConfig) -> _Vae:
    vae = _vae_of(open_weights(path))
    file, sizes = vae.file, vae.sizes
    if (sizes.latent_channels, sizes.hop_length) != (
        config.latent.channels, config.latent.hop_length,
    ):  # fmt: skip
        raise WeightsError(
            f"{file.path.name} makes {sizes.latent_channels} channels a latent of "
            f"{sizes.hop_length} samples; the model's latents have {config.latent.channels} "
            f"of {config.latent.hop_length}: give a VAE of the AudioX family."
        )
    return vae


def _vae_of(file: WeightFile) -> _Vae:
    prefix = vae_prefix(file)
    sizes = oobleck_from_shapes(file.shapes, prefix)
    found = {name.removeprefix(prefix): file.shapes[name] for name in file.below(prefix)}
    raise_differences(file, found, oobleck_layout(sizes), "VAE")
    return _Vae(file, prefix, sizes)


def vae_prefix(file: WeightFile) -> str:
    """What stands before the names of a VAE in a file. Raises WeightsError where there is none."""
    for prefix in (VAE, ""):
        if f"{prefix}decoder.layers.0.weight_v" in file.shapes:
            return prefix
    raise WeightsError(
        f"{file.path.name} holds no AudioX VAE: there is no 'decoder.layers.0.weight_v' in it. "
        "Take VAE.ckpt or a whole AudioX checkpoint."
    )


def same_below(file: WeightFile, prefix: str, other: WeightFile, other_prefix: str) -> bool:
    """Whether two parts hold the same tensors, bit for bit; read in small pieces."""
    names = [name.removeprefix(prefix) for name in file.below(prefix)]
    if {*names} != {name.removeprefix(other_prefix) for name in other.below(other_prefix)}:
        return False
    return all(same_tensor(file, prefix + name, other, other_prefix + name) for name in names)


def _numbers(file: WeightFile, name: str, tensor: Tensor) -> Tensor:
    """The tensor itself. Raises WeightsError where it holds no finite real numbers."""
    if not tensor.is_floating_point() or tensor.layout != torch.strided:
        found = f"{tensor.dtype}".removeprefix("torch.")
        raise WeightsError(f"{file.path.name} stores '{name}' as {found}, not as real numbers.")
    low, high = (tensor if tensor.itemsize > 1 else tensor.float()).aminmax()  # no second copy
    if not (low.isfinite() and high.isfinite()):
        raise WeightsError(
            f"{file.path.name} holds values in '{name}' that are no numbers: get the file again."
        )
    return tensor


def _dtype(shape: Shape, name: str, dtype: torch.dtype) -> torch.dtype:
    """In eight bits only matrices are kept: a norm or a bias would lose too much."""
    kept = name in KEPT_FLOAT32 or (dtype.itemsize == 1 and len(shape) < 2)
    return torch.float32 if kept else dtype


def _load_part(
    file: WeightFile, prefix: str, build: Callable[[], M], *,
    canonical: Callable[[dict[str, Tensor]], dict[str, Tensor]] = dict,
    without: str | None = None, dtype: torch.dtype = torch.float32, own: bool = False,
) -> M:  # fmt: skip
    """Build the module that `prefix` holds and fill it; names and shapes were checked.

    Args:
        file, prefix: where the weights are.
        build: makes the module; called on the meta device, so that it owns no memory.
        canonical: from the file's names to the module's.
        without: a part below the prefix that is another module's.
        dtype: of the weights.
        own: read everything into memory of its own, for a `canonical` that writes.
    """
    names = {
        name: name.removeprefix(prefix)
        for name in used(file.below(prefix))
        if not (without and name.startswith(without))
    }
    wanted = {n: _dtype(file.shapes[n], ours, dtype) for n, ours in names.items()}
    as_stored = [n for n in names if file.tensors[n].dtype == wanted[n] and not own]
    mapped = file.read(as_stored)
    state = {
        ours: _numbers(file, n, mapped[n] if n in mapped else file.copy(n)).to(wanted[n])
        for n, ours in names.items()
    }
    with torch.device("meta"):
        module = build()
    module.load_state_dict(canonical(state), assign=True)
    return module.eval().requires_grad_(False)
