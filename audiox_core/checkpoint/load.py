"""A checkpoint file -> modules with weights, strictly: every name and shape is checked first."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from ..conditioners.assemble import Conditioners
from ..conditioners.audio import AudioConditioner
from ..conditioners.encoders import clip_vision, t5_encoder, tie_embedding
from ..conditioners.text import TextConditioner
from ..conditioners.video import VideoConditioner
from ..config import AudioXConfig, OobleckConfig
from ..errors import WeightsError
from ..models.attention import AttentionFn, torch_attention
from ..models.dit import DiT, rename_norms
from ..models.oobleck import Oobleck, fold_weight_norm
from .companions import find_config, find_text_encoder, load_tokenizer, read_tokenizer
from .detect import (
    AUDIO,
    AUDIO_VAE,
    DIT,
    TEXT,
    VAE,
    VIDEO,
    detect,
    oobleck_from_shapes,
    text_from_shapes,
)
from .weight_file import WeightFile, open_weights

logger = logging.getLogger(__name__)

EMBEDDED = Path(__file__).parents[1] / "assets" / "audiox-standin.safetensors"

# in a file, but computed here; or of a part that is never run
UNUSED = (
    "inv_freq",
    "position_ids",
    "decoder.block.",
    "decoder.final_layer_norm.",
    "decoder.embed_tokens.",
    "lm_head.",
)
# in half precision the frequencies of the diffusion time would be off by up to 0.05 %
KEPT_FLOAT32 = ("timestep_features.weight",)

M = TypeVar("M", bound=nn.Module)


@dataclass
class Checkpoint:
    """A loaded model: the parts of the road, in its order."""

    conditioners: Conditioners
    model: DiT
    vae: Oobleck
    config: AudioXConfig
    path: Path

    @property
    def variant(self) -> str:
        """Which of the family it is."""
        return self.config.variant

    @property
    def device(self) -> torch.device:
        """Where the parts are."""
        return next(self.model.parameters()).device

    @property
    def dtype(self) -> torch.dtype:
        """What the backbone computes in."""
        return self.model.transformer.project_in.weight.dtype


def load_checkpoint(
    path: str | Path | None = None, *,
    text_encoder: str | Path | None = None, vae: str | Path | None = None,
    config: str | Path | None = None,
    dtype: torch.dtype = torch.float32, device: torch.device | str = "cpu",
    ops: Any = nn, attention: AttentionFn = torch_attention,
) -> Checkpoint:  # fmt: skip
    """Load an AudioX v1 checkpoint.

    Args:
        path: `.safetensors` or `.ckpt`; None is the embedded model.
        text_encoder: T5-base weights or their folder; None looks beside the checkpoint and in
            `models/`. The embedded model brings its own.
        vae: another VAE for decoding; audio prompts keep the checkpoint's.
        config: the release's config.json; None takes the one beside the checkpoint, if any.
        dtype: of the transformer. Encoders and VAE run once a clip and stay float32.
        device: of all parts.
        ops, attention: layers and kernel of the transformer and the VAE, for hosts.

    Raises:
        WeightsError: a file is missing, damaged, or not what it should be.
    """
    file = open_weights(EMBEDDED if path is None else path)
    given = Path(config) if config is not None else find_config(file.path)
    settings, source = detect(file, given)
    logger.info("%s: %s, sizes from %s", file.path.name, settings.variant, source)
    if settings.note:
        logger.warning("%s: %s", file.path.name, settings.note)
    text = _load_text(file, settings, None if text_encoder is None else Path(text_encoder))
    decoder, prompt_vae = _load_vaes(file, settings, None if vae is None else Path(vae), ops)
    checkpoint = Checkpoint(
        conditioners=Conditioners(
            text, _load_video(file, settings), _load_audio(file, settings, prompt_vae)
        ),
        model=_load_part(
            file,
            DIT,
            partial(DiT, settings.dit, ops=ops, attention=attention),
            canonical=rename_norms,
            dtype=dtype,
        ),
        vae=decoder,
        config=settings,
        path=file.path,
    )
    for part in (checkpoint.conditioners, checkpoint.model, checkpoint.vae):
        part.to(device)
    return checkpoint


def _load_video(file: WeightFile, config: AudioXConfig) -> VideoConditioner:
    video = config.video
    return _load_part(
        file, VIDEO, lambda: VideoConditioner(video, video.clip.tokens, clip_vision(video.clip))
    )


def _load_audio(
    file: WeightFile, config: AudioXConfig, prompt_vae: Oobleck | None
) -> AudioConditioner:
    sizes = config.latent.channels, config.audio_tokens, config.dit.cond_dim
    audio = _load_part(file, AUDIO, lambda: AudioConditioner(*sizes), without=AUDIO_VAE)
    audio.vae = prompt_vae
    return audio


def _load_text(file: WeightFile, config: AudioXConfig, argument: Path | None) -> TextConditioner:
    embedded = argument is None and any(name.startswith(TEXT) for name in file.shapes)
    if embedded:
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
    encoder = _load_part(file, prefix, lambda: t5_encoder(sizes), canonical=tie_embedding)
    return TextConditioner(encoder, config.text_tokens, tokenizer)


def _load_vaes(
    file: WeightFile, config: AudioXConfig, other: Path | None, ops: Any
) -> tuple[Oobleck, Oobleck | None]:
    """The VAE that decodes, and one for prompts where that is another."""

    def load(source: WeightFile, prefix: str, sizes: OobleckConfig) -> Oobleck:
        build = partial(Oobleck, sizes, ops=ops)
        return _load_part(source, prefix, build, canonical=fold_weight_norm)

    has_copy = any(name.startswith(AUDIO_VAE) for name in file.shapes)
    if other is not None:
        source = open_weights(other)
        prefix = _vae_prefix(source)
        sizes = oobleck_from_shapes(source.shapes, prefix)
        if (sizes.latent_channels, sizes.hop_length) != (
            config.latent.channels, config.latent.hop_length,
        ):  # fmt: skip
            raise WeightsError(
                f"{source.path.name} makes {sizes.latent_channels} channels a latent of "
                f"{sizes.hop_length} samples; the model's latents have {config.latent.channels} "
                f"of {config.latent.hop_length}: give a VAE of the AudioX family."
            )
        return load(source, prefix, sizes), load(file, AUDIO_VAE if has_copy else VAE, config.vae)
    decoder = load(file, VAE, config.vae)
    same = not has_copy or _equal_below(file, VAE, AUDIO_VAE)
    return decoder, None if same else load(file, AUDIO_VAE, config.vae)


def _vae_prefix(file: WeightFile) -> str:
    for prefix in (VAE, ""):
        if f"{prefix}decoder.layers.0.weight_v" in file.shapes:
            return prefix
    raise WeightsError(
        f"{file.path.name} holds no AudioX VAE: there is no 'decoder.layers.0.weight_v' in it. "
        "Take VAE.ckpt or a whole AudioX checkpoint."
    )


def _equal_below(file: WeightFile, prefix: str, other: str) -> bool:
    """Whether two parts hold the same tensors; one pair at a time, they are large."""
    names = [n.removeprefix(prefix) for n in file.shapes if n.startswith(prefix)]
    for name in names:
        if file.shapes[prefix + name] != file.shapes.get(other + name):
            return False
        pair = file.read([prefix + name, other + name])
        if not torch.equal(*pair.values()):
            return False
    return True


def _load_part(
    file: WeightFile, prefix: str, build: Callable[[], M], *,
    canonical: Callable[[Mapping[str, Tensor]], dict[str, Tensor]] = dict,
    without: str | None = None, dtype: torch.dtype = torch.float32,
) -> M:  # fmt: skip
    """Build the module that `prefix` holds and fill it.

    Args:
        file, prefix: where the weights are.
        build: makes the module; called on the meta device, so that it owns no memory.
        canonical: from the file's names to the module's.
        without: a part below the prefix that is another module's.
        dtype: of the weights.
    """
    names = {
        name: name.removeprefix(prefix)
        for name in file.shapes
        if name.startswith(prefix)
        and not (without and name.startswith(without))
        and not any(part in name for part in UNUSED)
    }
    with torch.device("meta"):
        module = build()
        sketch = canonical({ours: torch.empty(file.shapes[name]) for name, ours in names.items()})
    _check_shapes(file, prefix, module.state_dict(), sketch)
    stored = file.read(names)
    state = canonical({ours: stored[name] for name, ours in names.items()})
    state = {k: v.to(torch.float32 if k in KEPT_FLOAT32 else dtype) for k, v in state.items()}
    module.load_state_dict(state, assign=True)
    return module.eval().requires_grad_(False)


def _check_shapes(
    file: WeightFile, prefix: str, expected: Mapping[str, Tensor], found: Mapping[str, Tensor]
) -> None:
    """Raise with what is missing, unexpected or misshapen."""
    common = expected.keys() & found.keys()
    problems = {
        "missing": sorted(expected.keys() - found.keys()),
        "unexpected": sorted(found.keys() - expected.keys()),
        "of another shape": [
            f"{k} {tuple(found[k].shape)} for {tuple(expected[k].shape)}"
            for k in sorted(common)
            if found[k].shape != expected[k].shape
        ],
    }
    lists = [f"{len(k)} {what} ({_first(prefix, k)})" for what, k in problems.items() if k]
    if lists:
        raise WeightsError(
            f"{file.path.name} is not a whole AudioX model; of its tensors are "
            f"{'; '.join(lists)}. Choose the file as it was released or converted."
        )


def _first(prefix: str, names: list[str]) -> str:
    shown = ", ".join(prefix + name for name in names[:2])
    return f"{shown}, …" if len(names) > 2 else shown
