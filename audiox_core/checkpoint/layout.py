"""Which tensors a released file must hold, by name and shape, and how a file differs from that.

The list is made from the modules themselves, which are built on the meta device.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import nn

from ..conditioners.audio import audio_conditioner
from ..conditioners.encoders import clip_vision, t5_encoder
from ..conditioners.video import VideoConditioner
from ..config import (
    AudioXConfig,
    DiTConfig,
    MMDiTConfig,
    OobleckConfig,
    SynchformerConfig,
    TextConfig,
)
from ..errors import WeightsError
from ..models import backbone
from ..models.maf import MAFBlock
from ..models.oobleck import Oobleck
from ..models.synchformer import Synchformer
from .weight_file import Shape, WeightFile

DIT, VAE, TEXT = "model.model.", "pretransform.model.", "text_encoder."
VIDEO = "conditioner.conditioners.video_prompt."
AUDIO = "conditioner.conditioners.audio_prompt."
AUDIO_VAE = f"{AUDIO}pretransform.model."
MAF = "maf_block."
SYNC = "synchformer."  # in a converted file, before the names of Synchformer's own file
SYNC_ENCODER = "vfeat_extractor."  # the only part of Synchformer that is used
PARTS = {"conditioners": (VIDEO, AUDIO, MAF), "backbone": (DIT,), "vae": (VAE,)}

INV_FREQ = f"{DIT}transformer.rotary_pos_emb.inv_freq"

# in a file, but computed here; or of a part that is never run; or a second name of a tensor
UNUSED = (
    "inv_freq",
    "position_ids",
    "decoder.block.",
    "decoder.final_layer_norm.",
    "decoder.embed_tokens.",
    "encoder.embed_tokens.",
    "lm_head.",
    "vfeat_extractor.patch_embed.proj.",
)


@dataclass(frozen=True)
class Differences:
    """What a file lacks, has too much, or has in another shape: names as they stand in it."""

    missing: tuple[str, ...] = ()
    unexpected: tuple[str, ...] = ()
    misshapen: tuple[tuple[str, Shape, Shape], ...] = ()  # name, found, expected

    def __bool__(self) -> bool:
        return bool(self.missing or self.unexpected or self.misshapen)

    def __str__(self) -> str:
        shapes = [f"{name} {found} for {expected}" for name, found, expected in self.misshapen]
        kinds = {
            "missing": self.missing,
            "unexpected": self.unexpected,
            "of another shape": shapes,
        }
        return "; ".join(f"{len(n)} {what} ({_first(n)})" for what, n in kinds.items() if n)


def _first(names: Collection[str]) -> str:
    shown = ", ".join([*names][:2])
    return f"{shown}, …" if len(names) > 2 else shown


def compare(found: Mapping[str, Shape], expected: Mapping[str, Shape]) -> Differences:
    """How names and shapes differ; those that are not used do not count."""
    return Differences(
        missing=tuple(used(sorted(expected.keys() - found.keys()))),
        unexpected=tuple(used(sorted(found.keys() - expected.keys()))),
        misshapen=tuple(
            (name, found[name], expected[name])
            for name in used(sorted(expected.keys() & found.keys()))
            if found[name] != expected[name]
        ),
    )


def used(names: Iterable[str]) -> list[str]:
    """The names without those of tensors that are never used."""
    return [name for name in names if not any(part in name for part in UNUSED)]


def check_layout(file: WeightFile, config: AudioXConfig, part: str | None = None) -> None:
    """Check that a file holds exactly the tensors of a model, or of a part of it.

    A VAE that the whole file lacks is not missed: it may have a file of its own.

    Args:
        file: of the model.
        config: its sizes.
        part: a key of `PARTS`; None checks all parts, beside which nothing else may be in the file.

    Raises:
        WeightsError: tensors are missing, unexpected, or of another shape.
    """
    layout = released_layout(config, prompt_vae=bool(file.below(AUDIO_VAE)))
    if part is None:
        own = (*PARTS["conditioners"], DIT, *[VAE] * bool(file.below(VAE)))
        found = {n: shape for n, shape in file.shapes.items() if not n.startswith((TEXT, SYNC))}
    else:
        own = PARTS[part]
        found = {n: shape for n, shape in file.shapes.items() if n.startswith(own)}
    expected = {name: shape for name, shape in layout.items() if name.startswith(own)}
    raise_differences(file, found, expected, "AudioX model")


def raise_differences(
    file: WeightFile, found: Mapping[str, Shape], expected: Mapping[str, Shape], what: str
) -> None:
    """Raise WeightsError where tensors are missing, unexpected or of another shape."""
    if differences := compare(found, expected):
        raise WeightsError(
            f"{file.path.name} is not a whole {what}; of its tensors are {differences}. Choose "
            "the file as it was released or converted."
        )


def released_layout(config: AudioXConfig, *, prompt_vae: bool = True) -> dict[str, Shape]:
    """Name -> shape of all tensors of a file; `prompt_vae`: with the second copy of the VAE."""
    vae = oobleck_layout(config.vae)
    dit = _below(DIT, dit_layout(config.dit))
    layout = dit | _maf(config) | _video(config) | _audio(config) | _below(VAE, vae)
    prompt_vae = prompt_vae and config.mel is None  # a spectrogram needs none
    return layout | _below(AUDIO_VAE, vae) if prompt_vae else layout


def oobleck_layout(config: OobleckConfig) -> dict[str, Shape]:
    """A VAE's tensors, weight norm unfolded: a direction `weight_v` and a length `weight_g`."""
    with torch.device("meta"):
        shapes = shapes_of(Oobleck(config))
    layout = {}
    for name, shape in shapes.items():
        if name.endswith(".weight"):
            layout[f"{name}_g"] = (shape[0], *[1] * (len(shape) - 1))
            layout[f"{name}_v"] = shape
        else:
            layout[name] = shape
    return layout


def dit_layout(config: DiTConfig | MMDiTConfig) -> dict[str, Shape]:
    """The transformer's tensors, its norms under their released names."""
    theirs = {"weight": "gamma", "bias": "beta"}
    with torch.device("meta"):
        shapes = shapes_of(backbone(config))
    if isinstance(config, MMDiTConfig):
        return shapes  # its norms have no weights
    layout = {INV_FREQ.removeprefix(DIT): (config.rotary_dim // 2,)}
    for name, shape in shapes.items():
        path, _, last = name.rpartition(".")
        layout[f"{path}.{theirs[last]}" if path.endswith("norm") else name] = shape
    return layout


def text_layout(config: TextConfig, prefix: str = "") -> dict[str, Shape]:
    """A T5 encoder's tensors."""
    with torch.device("meta"):
        shapes = _below(prefix, shapes_of(t5_encoder(config)))
    return {name: shapes[name] for name in used(shapes)}


def synchformer_layout(config: SynchformerConfig, prefix: str) -> dict[str, Shape]:
    """The tensors of Synchformer's visual encoder."""
    with torch.device("meta"):
        return _below(prefix, shapes_of(Synchformer(config)))


def _video(config: AudioXConfig) -> dict[str, Shape]:
    video = config.video
    with torch.device("meta"):
        module = VideoConditioner(video, video.clip.tokens, clip_vision(video.clip))
    return _below(VIDEO, shapes_of(module))


def _audio(config: AudioXConfig) -> dict[str, Shape]:
    with torch.device("meta"):
        return _below(AUDIO, shapes_of(audio_conditioner(config)))


def _maf(config: AudioXConfig) -> dict[str, Shape]:
    if config.maf is None:
        return {}
    with torch.device("meta"):
        return _below(MAF, shapes_of(MAFBlock(config.maf)))


def shapes_of(module: nn.Module) -> dict[str, Shape]:
    """A module's own names and shapes."""
    return {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}


def _below(prefix: str, shapes: Mapping[str, Shape]) -> dict[str, Shape]:
    return {prefix + name: shape for name, shape in shapes.items()}
