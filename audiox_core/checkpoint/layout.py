"""Which tensors a released file must hold, by name and shape, and how a file differs from that.

The list is made from the modules themselves, which are built on the meta device.
"""

import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache, partial

import torch
from torch import nn

from ..conditioners.audio import audio_conditioner
from ..conditioners.video import video_conditioner
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
from ..models.t5 import T5Encoder
from .weight_file import Shape, WeightFile

DIT, VAE, TEXT = "model.model.", "pretransform.model.", "text_encoder."
VIDEO = "conditioner.conditioners.video_prompt."
AUDIO = "conditioner.conditioners.audio_prompt."
AUDIO_VAE = f"{AUDIO}pretransform.model."
MAF = "maf_block."
SYNC = "synchformer."  # in a converted file, before the names of Synchformer's own file
SYNC_ENCODER = "vfeat_extractor."  # the only part of Synchformer that is used
PARTS = {"conditioners": (VIDEO, AUDIO, MAF), "backbone": (DIT,), "vae": (VAE,)}

TRANSFORMER_ONLY = (
    "{} holds only the transformer, without the encoders of text, video and audio, as ModelSave of "
    "ComfyUI writes it: [[use a complete file, such as Save Checkpoint of ComfyUI writes|load it "
    "with AudioX Load Model, the encoders of the file that it was made of with AudioX Load "
    "Conditioners, and its VAE with AudioX Load VAE]]."
)

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

    expected: int = 0  # tensors
    missing: tuple[str, ...] = ()
    unexpected: tuple[str, ...] = ()
    misshapen: tuple[tuple[str, Shape, Shape], ...] = ()  # name, found, expected

    def __bool__(self) -> bool:
        return bool(self.missing or self.unexpected or self.misshapen)

    def __str__(self) -> str:
        shapes = tuple(f"{name} {found} for {expected}" for name, found, expected in self.misshapen)
        kinds = [("missing", self.missing), ("unexpected", self.unexpected)]
        return "; ".join(
            f"{len(names)} {what} ({', '.join(names[:2])}{', …' if len(names) > 2 else ''})"
            for what, names in [*kinds, ("of another shape", shapes)]
            if names
        )


def compare(found: Mapping[str, Shape], expected: Mapping[str, Shape]) -> Differences:
    """How names and shapes differ; those that are not used do not count."""
    return Differences(
        expected=len(expected),
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

    Args:
        file, config, part: as in `differences`.

    Raises:
        WeightsError: tensors are missing, unexpected, or of another shape.
    """
    _check(file, differences(file, config, part), "AudioX model")


def differences(file: WeightFile, config: AudioXConfig, part: str | None = None) -> Differences:
    """How a file's tensors differ from those of a model, or of a part of it.

    A VAE that the whole file lacks is not missed: it may have a file of its own.

    Args:
        file: of the model.
        config: its sizes.
        part: a key of `PARTS`; None takes all parts, beside which nothing else may be in the file.
    """
    if part is None:
        parts = [name for name in PARTS if name != "vae" or file.below(VAE)]
        found = {n: shape for n, shape in file.shapes.items() if not n.startswith((TEXT, SYNC))}
    else:
        parts = [part]
        found = {n: shape for n, shape in file.shapes.items() if n.startswith(PARTS[part])}
    prompt_vae = bool(file.below(AUDIO_VAE))
    folded = tuple(prefix for prefix in (VAE, AUDIO_VAE) if is_folded(file.shapes, prefix))
    return compare(found, released_layout(config, parts, prompt_vae=prompt_vae, folded=folded))


def has_conditioners(file: WeightFile) -> bool:
    """Whether a file holds more than the transformer and the VAE."""
    return any(file.below(prefix) for prefix in PARTS["conditioners"])


def check_below(file: WeightFile, prefix: str, layout: Mapping[str, Shape], what: str) -> None:
    """Check that a file holds exactly the tensors of a layout below a prefix.

    Args:
        file: to check.
        prefix: before all names of the layout.
        layout: name -> shape.
        what: the file should hold, for the error.

    Raises:
        WeightsError: tensors are missing, unexpected, or of another shape.
    """
    found = {name: file.shapes[name] for name in file.below(prefix)}
    _check(file, compare(found, layout), what)


def _check(file: WeightFile, found: Differences, what: str) -> None:
    if found:
        raise WeightsError(
            f"{file.path.name} is not a complete {what}: {found}. Use the file as it was "
            "released or converted."
        )


def released_layout(
    config: AudioXConfig,
    parts: Iterable[str] = PARTS,
    *,
    prompt_vae: bool = True,
    folded: tuple[str, ...] = (),
) -> dict[str, Shape]:
    """Name -> shape of all tensors of a file.

    Args:
        config: of the model.
        parts: keys of `PARTS`.
        prompt_vae: with the second copy of the VAE, for audio prompts.
        folded: prefixes of the VAEs whose weight norm is folded.
    """
    layouts = (_part_layout(config, part, prompt_vae, folded) for part in parts)
    return {name: shape for layout in layouts for name, shape in layout.items()}


@cache  # loading checks the whole file, then each part
def _part_layout(
    config: AudioXConfig, part: str, prompt_vae: bool, folded: tuple[str, ...]
) -> Mapping[str, Shape]:
    if part == "backbone":
        return dit_layout(config.dit, DIT)
    if part == "vae":
        return oobleck_layout(config.vae, VAE, folded=VAE in folded)
    layout = _layout(partial(video_conditioner, config.video), VIDEO)
    layout |= _layout(partial(audio_conditioner, config), AUDIO)
    if config.maf is not None:
        layout |= _layout(partial(MAFBlock, config.maf), MAF)
    if prompt_vae and config.mel is None:  # a spectrogram needs none
        layout |= oobleck_layout(config.vae, AUDIO_VAE, folded=AUDIO_VAE in folded)
    return layout


def oobleck_layout(
    config: OobleckConfig, prefix: str = "", *, folded: bool = False
) -> dict[str, Shape]:
    """A VAE's tensors.

    Args:
        config: of the VAE.
        prefix: before all names.
        folded: weights as ComfyUI saves them; else weight norm, in a direction `weight_v` and a
            length `weight_g`.
    """
    layout: dict[str, Shape] = {}
    for name, shape in _layout(partial(Oobleck, config), prefix).items():
        if name.endswith(".weight") and not folded:
            layout[f"{name}_g"] = (shape[0], *[1] * (len(shape) - 1))
            layout[f"{name}_v"] = shape
        else:
            layout[name] = shape
    return layout


def is_folded(shapes: Mapping[str, Shape], prefix: str) -> bool:
    """Whether the weight norm of the VAE below a prefix is folded."""
    return f"{prefix}decoder.layers.0.weight" in shapes


def check_vae(file: WeightFile, prefix: str, config: OobleckConfig, what: str) -> None:
    """Check that a file holds exactly a VAE below a prefix, its weight norm folded or not.

    Args:
        file: to check.
        prefix: before all names of the VAE.
        config: sizes of the VAE.
        what: the file should hold, for the error.

    Raises:
        WeightsError: tensors are missing, unexpected, or of another shape.
    """
    folded = is_folded(file.shapes, prefix)
    check_below(file, prefix, oobleck_layout(config, prefix, folded=folded), what)


def dit_layout(config: DiTConfig | MMDiTConfig, prefix: str = "") -> dict[str, Shape]:
    """The transformer's tensors, its norms under their released names."""
    shapes = _layout(partial(backbone, config), prefix)
    if isinstance(config, MMDiTConfig):
        return shapes  # its norms have no weights
    layout: dict[str, Shape] = {prefix + INV_FREQ.removeprefix(DIT): (config.rotary_dim // 2,)}
    for name, shape in shapes.items():
        theirs = name.replace("norm.weight", "norm.gamma").replace("norm.bias", "norm.beta")
        layout[theirs] = shape
    return layout


def text_layout(config: TextConfig, prefix: str = "") -> dict[str, Shape]:
    """A T5 encoder's tensors."""
    return _layout(partial(T5Encoder, config), prefix)


def synchformer_layout(config: SynchformerConfig, prefix: str = "") -> dict[str, Shape]:
    """The tensors of Synchformer's visual encoder."""
    return _layout(partial(Synchformer, config), prefix)


def shapes_of(module: nn.Module) -> dict[str, Shape]:
    """A module's own names and shapes."""
    return {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}


def _layout(build: Callable[[], nn.Module], prefix: str) -> dict[str, Shape]:
    """The names and shapes of a module that is built on the meta device."""
    try:
        with torch.device("meta"), warnings.catch_warnings():
            warnings.filterwarnings("error", "Initializing zero-element tensors")
            module = build()
    except Exception as error:  # a library's own, for each kind of impossible size
        raise WeightsError(
            f"No AudioX model can have these sizes ({error}): use the file as it was released."
        ) from error
    return {prefix + name: shape for name, shape in shapes_of(module).items()}
