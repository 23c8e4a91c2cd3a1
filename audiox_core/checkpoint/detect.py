"""Which model a file holds: from its header, its tensors, and what lies around it.

A file that this project wrote has its config in the header. The tensors of a released file tell the
sizes and mostly the variant. Three variants have tensors of the same names and shapes: the
release's config.json, the file's name, the model's answer to pure noise, or the user tells them
apart.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from ..config import AudioXConfig, MMDiTConfig
from ..errors import WeightsError, check_regular_file
from ..hub.models import MODELS
from ..variants import AMBIGUOUS_VARIANTS, VARIANTS
from .auxiliary_files import fetch_again, fetch_command, models_folder
from .layout import AUDIO, DIT, MAF, VIDEO
from .sizes import config_from_shapes
from .weight_file import WeightFile

LORA = (
    "a LoRA, not a model ([[pass it with --lora FILE beside --checkpoint|put it into "
    "models/loras and connect a LoRA loader to the model]])"
)
MODEL, MAF_MODEL = "an AudioX model", "a model of the AudioX-MAF line"
KINDS = (  # part of a tensor's name -> what such a file is; the first that fits
    ("lora_", LORA),
    (".lora.", LORA),
    ("hada_w1", LORA),
    ("lokr_w1", LORA),
    ("diffusion_ema.", "a raw AudioX training state, not the exported model"),
    ("model.diffusion_model.", "a Stable Diffusion checkpoint"),
    (MAF, MAF_MODEL),
    (DIT, MODEL),
    (VIDEO, MODEL),
    (AUDIO, MODEL),
    (
        "vfeat_extractor.",
        "a Synchformer (put it beside the model[[, or pass it with --synchformer|]])",
    ),
    (
        "encoder.block.",
        "a T5 text encoder ([[pass it with --text-encoder|put it into models/text_encoders]])",
    ),
    ("decoder.layers.", "an audio VAE alone ([[pass it with --vae|select it in AudioX Load VAE]])"),
    ("vision_model.", "a CLIP vision model"),
)
NAMES = (  # part of a file's or folder's name -> the variant; the specific first
    ("pretrained_ckpt", "audiox-base"),
    ("audiox-base", "audiox-base"),
    ("audiox_base", "audiox-base"),
    ("teacher", "audiox-base"),
    ("turbo", "audiox-turbo"),
    ("mmdit", "audiox-maf-mmdit"),
)

Probe = Callable[[AudioXConfig], str]  # a config with the file's sizes -> the objective


def detect(
    file: WeightFile,
    config_json: Path | None = None,
    *,
    variant: str | None = None,
    probe: Probe | None = None,
) -> tuple[AudioXConfig, str]:
    """The config of the model in a file, and where it was found.

    Args:
        file: any weights file.
        config_json: of the original release; overrides what shapes cannot tell.
        variant: what the user says it is; must not contradict what is known.
        probe: asks the model itself for its objective, where nothing else tells; it is slow.

    Raises:
        WeightsError: the file holds no AudioX model, or nothing tells which one; the message says
            what it looks like and what to do.
    """
    if empty := next((name for name, shape in file.shapes.items() if 0 in shape), None):
        raise WeightsError(f"{file.path.name} has an empty tensor '{empty}': download it again.")
    release, diffusion = _read_release(config_json)
    config = header_config(file)
    if (kind := kind_of(file)) not in (MODEL, MAF_MODEL):
        raise WeightsError(
            f"{file.path.name} is not an AudioX model: it is {kind}. Choose model.ckpt or "
            "model.safetensors of AudioX (`python -m audiox_core fetch audiox` downloads it "
            "into models/audiox), or [[omit --checkpoint to use|select]] the embedded model."
        )
    if config is not None:
        if variant not in (None, config.variant):
            raise _contradiction(file, variant, f"its header says {config.variant}")
        source = "the file's header"
    else:
        config, source = _from_tensors(file, diffusion, variant, probe)
        try:
            config.checked()
        except ValueError as error:
            raise WeightsError(
                f"{file.path.name} has sizes that no AudioX model has ({error}): use the released "
                "file."
            ) from error
    if config_json is None:
        return config, source
    with _reading(config_json):
        return _override(config, release, diffusion), f"{source}, overridden by {config_json.name}"


def header_config(file: WeightFile) -> AudioXConfig | None:
    """The config in the header of a file that this project wrote; None of any other file.

    Raises:
        WeightsError: there is one and it cannot be read, or it has other sizes than the tensors.
    """
    if (header := file.header.get("audiox")) is None:
        return None
    try:
        config = AudioXConfig.from_json(header)
        borne_out = config_from_shapes(file.shapes, config)
    except (ValueError, ArithmeticError) as error:
        raise WeightsError(
            f"{file.path.name} was written by another version of this pack ({error}): update the "
            "pack, or convert the file again."
        ) from error
    said, found = _flat(asdict(config)), _flat(asdict(borne_out))
    for name, value in said.items():
        if value != found[name]:
            raise WeightsError(
                f"{file.path.name} has a header that contradicts its tensors: {name} is "
                f"{value}, but the tensors have {found[name]}. Download or convert the file again."
            )
    return config


def _flat(table: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested tables as one: `dit.depth` -> 24."""
    flat: dict[str, Any] = {}
    for name, value in table.items():
        inner = _flat(value, f"{prefix}{name}.") if isinstance(value, dict) else None
        flat |= {prefix + name: value} if inner is None else inner
    return flat


def _contradiction(file: WeightFile, variant: str, why: str) -> WeightsError:
    get = ""
    if variant in MODELS:
        folder = models_folder(file.path) / MODELS[variant].folder
        get = f", or get that model into {folder} with `{fetch_command(variant, file.path)}`"
    return WeightsError(
        f"{file.path.name}: [[--variant|variant]] is {variant}, but {why}: "
        f"[[omit --variant|set variant to auto]]{get}."
    )


def kind_of(file: WeightFile) -> str:
    """What a file is, in the words of `KINDS`."""
    names = [*file.shapes] or ["nothing"]
    kinds = (kind for mark, kind in KINDS if any(mark in name for name in names))
    return next(kinds, f"something else: its first tensor is '{names[0]}'")


def _from_tensors(
    file: WeightFile, diffusion: Mapping[str, Any], variant: str | None, probe: Probe | None
) -> tuple[AudioXConfig, str]:
    """A released file's config: the sizes from its tensors, the rest from its variant's preset."""
    if variant is not None and variant not in VARIANTS:
        raise WeightsError(f"Unknown variant {variant!r}: choose one of {', '.join(VARIANTS)}.")
    possible = fitting(file)
    objective = diffusion.get("diffusion_objective", diffusion.get("objective"))
    hints = [
        ("config.json", {n for n in AMBIGUOUS_VARIANTS if VARIANTS[n].objective == objective}),
        ("the file's name", _by_name(file.path)),
    ]
    left, used = set(possible), ["the tensors' shapes"]
    for what, said in hints:
        if len(left) > 1 and left & said != left and left & said:
            left, used = left & said, [*used, what]
    if variant is not None:
        if variant not in possible:
            raise _contradiction(file, variant, f"its tensors are those of {' or '.join(possible)}")
        if variant not in left:
            raise _contradiction(file, variant, f"{used[-1]} says {' or '.join(sorted(left))}")
        left, used = {variant}, [*used, "the chosen variant"]
    if len({VARIANTS[name].objective for name in left}) > 1 and probe is not None:
        objective = probe(config_from_shapes(file.shapes, VARIANTS[possible[0]]))
        left = {name for name in left if VARIANTS[name].objective == objective}
        used.append("its output for pure noise")
    if len(left) > 1:
        names = sorted(left)
        raise WeightsError(
            f"{file.path.name} may be {' or '.join(names)}: their tensors have the same names and "
            f"shapes. [[Pass --variant {' or --variant '.join(names)}|Set variant to "
            f"{' or '.join(names)} in the loader]], "
            f"or keep the folder name that {fetch_again(file.path)} creates."
        )
    (name,) = left
    used.append(f"the preset of {name}")
    return config_from_shapes(file.shapes, VARIANTS[name]), ", ".join(used)


def fitting(file: WeightFile) -> tuple[str, ...]:
    """The variants that a file's tensors fit."""
    if not file.below(MAF):
        return ("audiox",)
    mmdit = f"{DIT}transformer.layers.0.attn.qkv.weight" in file.shapes
    return AMBIGUOUS_VARIANTS if mmdit else ("audiox-maf",)


def _by_name(path: Path) -> set[str]:
    """The variant that a file's own name tells, else its folder's."""
    for name in (path.name, path.absolute().parent.name):
        if found := next((variant for part, variant in NAMES if part in name.lower()), None):
            return {found}
    return set()


def _read_release(path: Path | None) -> tuple[dict[str, Any], dict[str, Any]]:
    """A release's config.json, and the table of the diffusion model in it."""
    if path is None:
        return {}, {}
    with _reading(path):
        check_regular_file(path, WeightsError)
        data = json.loads(path.read_text(encoding="utf-8"))
        return data, dict(data.get("model", {}).get("diffusion", {}))


@contextmanager
def _reading(config_json: Path) -> Iterator[None]:
    """Turn what a wrong config.json raises into a WeightsError."""
    try:
        yield
    except (OSError, ValueError, AttributeError, TypeError, ArithmeticError, RecursionError) as e:
        raise WeightsError(
            f"{config_json} is not a config.json of an AudioX release ({e}): use the one that was "
            "released with model.ckpt, or omit it."
        ) from e


def _override(
    config: AudioXConfig, release: Mapping[str, Any], diffusion: Mapping[str, Any]
) -> AudioXConfig:
    """What a released config.json says beyond the shapes: rate, lengths, frame rate, heads."""
    latent = config.latent
    size = int(release.get("sample_size", latent.window * latent.hop_length))
    rate = int(release.get("sample_rate", latent.sample_rate))
    latent = replace(latent, sample_rate=rate, window=size // latent.hop_length)
    if heads := int(diffusion.get("config", {}).get("num_heads", 0)):
        # what an MMDiT's release calls num_heads is the width of a head
        head_dim = heads if isinstance(config.dit, MMDiTConfig) else config.dit.width // heads
        config = replace(config, dit=replace(config.dit, head_dim=head_dim))
    video = replace(config.video, fps=float(release.get("video_fps", config.video.fps)))
    return replace(config, latent=latent, video=video).checked()
