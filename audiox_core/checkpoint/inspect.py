"""What a weights file is: a report in place of an exception.

It checks what is only known of a released file once somebody has it, so that one report answers
all questions about it.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

from ..config import AudioXConfig
from ..errors import WeightsError, for_command_line
from ..hub.models import LICENCE, MODELS
from ..variants import AMBIGUOUS_VARIANTS, VARIANTS
from . import auxiliary_files as auxiliary
from . import layout
from .detect import MAF_MODEL, MODEL, detect, fitting, header_config, kind_of
from .layout import AUDIO_VAE, DIT, INV_FREQ, TRANSFORMER_ONLY, VAE, VIDEO
from .objective_probe import noise_share, objective_of
from .part_files import vae_in
from .sizes import config_from_shapes
from .weight_file import WeightFile, differing, open_weights

PARTS = {  # the longer prefix before the shorter
    "transformer": DIT,
    "video conditioner": VIDEO,
    "audio conditioner's VAE": AUDIO_VAE,
    "audio conditioner": layout.AUDIO,
    "VAE": VAE,
    "text encoder": layout.TEXT,
    "MAF block": layout.MAF,
    "Synchformer": layout.SYNC,
    "other": "",
}
IN_THIS_FILE = "in this file"


@dataclass(frozen=True)
class Part:
    """Some tensors of a file."""

    name: str
    prefix: str
    tensors: int
    elements: int
    nbytes: int
    dtypes: dict[str, int]  # name -> tensors


@dataclass(frozen=True)
class Report:
    """What `inspect` found. Fields that do not apply to a kind of file are None or empty."""

    file: str
    bytes: int
    stored_as: str
    what: str  # in words
    variant: str | None = None
    decided_by: str | None = None
    tensors: int = 0
    elements: int = 0
    parts: list[Part] = field(default_factory=list)
    config: dict[str, Any] | None = None
    expected: int | None = None  # tensors of the variant
    missing: tuple[str, ...] = ()
    unexpected: tuple[str, ...] = ()
    misshapen: tuple[tuple[str, tuple[int, ...], tuple[int, ...]], ...] = ()
    quantized: dict[str, int] = field(default_factory=dict)  # format -> layers
    vae_copies: str | None = None
    norm_betas: str | None = None
    inv_freq: str | None = None
    objective_probe: str | None = None  # of ambiguous variants; None: not asked for
    other_entries: dict[str, str] = field(default_factory=dict)
    header: dict[str, int] = field(default_factory=dict)  # entry -> characters
    auxiliary_files: dict[str, str] = field(default_factory=dict)  # -> where, or how to get it
    not_finite: dict[str, str] | None = None  # None: not asked for
    note: str | None = None

    @property
    def complete(self) -> bool:
        """Whether it is a model that can be loaded, auxiliary files aside."""
        differences = self.missing or self.unexpected or self.misshapen
        return self.expected is not None and not differences

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {**asdict(self), "complete": self.complete}


def inspect(
    path: str | Path,
    *,
    deep: bool = False,
    variant: str | None = None,
    config: str | Path | None = None,
    on_tensor: Callable[[int], object] | None = None,
) -> Report:
    """Report on a weights file of any kind.

    Args:
        path: `.safetensors`, `.ckpt`, `.pt`, `.pth` or `.bin`.
        deep: read every number and count those that are not finite; probe the objective of a model
            whose tensors do not tell its variant, which takes the memory of loading it.
        variant, config: as in `open_checkpoint`.
        on_tensor: called with the bytes of each tensor that was read so.

    Raises:
        WeightsError: the file cannot be read at all.
    """
    file = open_weights(path)
    kind, parts, model = for_command_line(kind_of(file)), _parts(file.packed or file), {}
    if kind in (MODEL, MAF_MODEL):
        config_json = Path(config) if config else auxiliary.find_config(file.path)
        model = _model(file, config_json, variant, deep)
    return Report(
        file=str(file.path),
        bytes=file.path.stat().st_size,
        stored_as=file.kind,
        what=kind,
        tensors=sum(part.tensors for part in parts),
        elements=sum(part.elements for part in parts),
        parts=parts,
        other_entries=dict(file.others),
        header={name: len(text) for name, text in sorted(file.header.items())},
        quantized=dict(Counter(layer.format for layer in file.layers.values())),
        not_finite=_not_finite(file.packed or file, on_tensor) if deep else None,
        **model,
    )


def _model(
    file: WeightFile, config_json: Path | None, variant: str | None, deep: bool
) -> dict[str, Any]:
    """The fields of a report that only a model of the family has."""
    ambiguous, probe, objective = _ambiguous(file), None, None
    if deep and ambiguous is not None:
        probe, objective = _probe(file, ambiguous)
    try:
        known = None if objective is None else (lambda _sizes: objective)
        config, source = detect(file, config_json, variant=variant, probe=known)
        name, note, sizes = config.variant, config.note, asdict(config)
        if objective not in (None, config.objective):
            probe = f"{probe}, which does NOT match {name}"
    except WeightsError as error:
        config, note, sizes = ambiguous, f"{LICENCE} {error}", None
        name, source = " or ".join(AMBIGUOUS_VARIANTS), "the tensors' shapes alone"
    checks = {
        "vae_copies": _vae_copies(file),
        "norm_betas": _norm_betas(file),
        "inv_freq": _inv_freq(file),
        "objective_probe": probe,
        "note": note,
    }
    if config is None:
        return checks | {"auxiliary_files": _auxiliary_files(file, None)}
    found = {"variant": name, "decided_by": source, "config": sizes}
    alone = not layout.has_conditioners(file)
    tensors = vars(layout.differences(file, config, "backbone" if alone else None))
    if alone:
        checks["note"] = for_command_line(TRANSFORMER_ONLY.format(file.path.name))
    return {**checks, **found, **tensors, "auxiliary_files": _auxiliary_files(file, name)}


def _ambiguous(file: WeightFile) -> AudioXConfig | None:
    """The sizes of a model of which only the variant is open; None of any other."""
    if fitting(file) != AMBIGUOUS_VARIANTS:
        return None
    try:
        preset = VARIANTS[AMBIGUOUS_VARIANTS[0]]
        return header_config(file) or config_from_shapes(file.shapes, preset).checked()
    except (ValueError, ArithmeticError, WeightsError):
        return None


def _probe(file: WeightFile, config: AudioXConfig) -> tuple[str, str | None]:
    """The answer to pure noise in words, and its objective."""
    try:
        share = noise_share(file, config)
    except WeightsError as error:
        return f"failed: {error}", None
    objective = objective_of(share)
    names = [name for name in AMBIGUOUS_VARIANTS if VARIANTS[name].objective == objective]
    return f"noise share {share:.3f}, which matches {' or '.join(names)}", objective


def _parts(file: WeightFile) -> list[Part]:
    left = dict(file.tensors)
    parts = []
    for name, prefix in PARTS.items():
        taken = {key: left.pop(key) for key in [*left] if key.startswith(prefix)}
        if taken:
            stored = taken.values()
            dtypes = Counter(str(tensor.dtype).removeprefix("torch.") for tensor in stored)
            sums = (sum(t.elements for t in stored), sum(t.nbytes for t in stored))
            parts.append(Part(name, prefix, len(taken), *sums, dict(dtypes)))
    return parts


def _vae_copies(file: WeightFile) -> str:
    main, prompts = file.below(VAE), file.below(AUDIO_VAE)
    if not prompts:
        return "one" if main else "none"
    if not main:
        return "one, in the audio conditioner"
    if not (different := differing(file, VAE, file, AUDIO_VAE)):
        return "two, equal bit for bit"
    return f"two that differ: {len(different)} of {len(main)} tensors, first {different[:1]}"


def _norm_betas(file: WeightFile) -> str | None:
    names = [n for n in file.below(f"{DIT}transformer.layers.") if n.endswith("norm.beta")]
    if not names:
        return None
    peaks = {name: _peak(file, name) for name in names}
    largest = max(peaks, key=peaks.__getitem__)
    if peaks[largest] == 0:
        return f"all {len(names)} are zero"
    count = sum(peak != 0 for peak in peaks.values())
    return f"{count} of {len(names)} are not zero, up to {peaks[largest]:.3g} in {largest}"


def _peak(file: WeightFile, name: str) -> float:
    tensor = file.copy(name)
    tensor = tensor if tensor.is_complex() else tensor.float()
    return tensor.abs().max().item() if tensor.numel() else 0.0


def _inv_freq(file: WeightFile) -> str | None:
    if INV_FREQ not in file.tensors:
        return None
    found = file.copy(INV_FREQ).float()
    dim = 2 * found.numel()
    expected = 10_000 ** (-torch.arange(0, dim, 2, dtype=torch.float32) / dim)
    error = (found / expected - 1).abs().max().item()
    if torch.equal(found, expected):
        return "exactly as computed"
    return ("as computed" if error < 1e-5 else "NOT as computed") + f", off by up to {error:.1e}"


def _auxiliary_files(file: WeightFile, variant: str | None) -> dict[str, str]:
    """The files that are needed beside this one: where they are, or how to get them."""
    get, found = (
        auxiliary.fetch_command("t5-base", file.path),
        {"T5-base text encoder": IN_THIS_FILE},
    )
    if not file.below(layout.TEXT):
        text = auxiliary.find_text_encoder(file.path, tokenizer=False)
        found["T5-base text encoder"] = _where(text, get)
        if text is not None:
            found["T5-base tokenizer"] = _where(auxiliary.tokenizer_of(text), get)
    if file.below(layout.SYNC):
        found["Synchformer"] = IN_THIS_FILE
    elif f"{VIDEO}proj_sync.weight" in file.shapes:
        get = f"{auxiliary.fetch_command('synchformer', file.path)} (for videos and images)"
        found["Synchformer"] = _where(auxiliary.find_synchformer(file.path), get)
    if "audiox" not in file.header:
        config = auxiliary.find_config(file.path)
        found["config.json"] = str(config or "not found; not needed for the released sizes")
    return {**found, "VAE": _vae_file(file, variant)}


def _vae_file(file: WeightFile, variant: str | None) -> str:
    """Where the VAE is, and whether one beside the model is the same."""
    path = auxiliary.find_vae(file.path, variant)
    if not file.below(VAE):
        get = auxiliary.fetch_command(variant if variant in MODELS else "NAME", file.path)
        return _where(path, f"{get}, or pass --vae")
    if path is None or "audiox" in file.header:  # a conversion has rounded it
        return IN_THIS_FILE
    try:
        other = open_weights(path)
        different = differing(file, VAE, other, vae_in(other).prefix)
    except WeightsError as error:
        return f"{IN_THIS_FILE}; beside it: {error}"
    return f"{IN_THIS_FILE}; {path} is {'DIFFERENT' if different else 'equal bit for bit'}"


def _where(path: Path | None, get: str) -> str:
    return str(path) if path and path.is_file() else f"MISSING: {get}"


def _not_finite(file: WeightFile, on_tensor: Callable[[int], object] | None) -> dict[str, str]:
    """Name -> how many numbers are NaN or infinite, where any are."""
    bad = {}
    for name, stored in file.tensors.items():
        if stored.dtype.is_floating_point:
            tensor = file.copy(name)
            tensor = tensor.float() if stored.dtype.itemsize == 1 else tensor
            nan, inf = int(tensor.isnan().sum()), int(tensor.isinf().sum())
            if nan or inf:
                bad[name] = f"{nan} NaN, {inf} infinite of {stored.elements}"
        if on_tensor is not None:
            on_tensor(stored.nbytes)
    return bad
