"""`inspect`: report on a weights file, as a table or as JSON."""

import argparse
import json
from collections.abc import Iterable, Mapping
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

from ..errors import printable
from ..progress_bar import count_bar
from .options import CHECKPOINT, add_json, add_variant, size_text

if TYPE_CHECKING:
    from ..checkpoint.inspect import Part, Report


def add_inspect(parser: argparse.ArgumentParser) -> None:
    """Add the options of `inspect` to its parser."""
    parser.description = (
        "Report what a weights file is, which parts it contains, what is missing, and which other "
        "files it needs. Please add this to an issue about a file that does not load."
    )
    parser.set_defaults(run=run_inspect)
    parser.add_argument(
        "file", **CHECKPOINT, help=".safetensors, .ckpt, .pt, .pth; or turbo, base, maf"
    )
    parser.add_argument(
        "--deep",
        action="store_true",
        help="read all values and count NaN and Inf; for MMDiT models, also run the model to "
        "find its objective, which needs the memory of loading it",
    )
    add_variant(parser)
    add_json(parser, "the full report")


def run_inspect(options: argparse.Namespace) -> int:
    """Print the report; the exit code is 0 for every file that can be read."""
    from ..checkpoint.file_check import check_weights_file

    check_weights_file(options.file)
    from ..checkpoint.inspect import inspect

    with count_bar("reading", "B", unit_scale=True) if options.deep else nullcontext() as bar:
        report = inspect(
            options.file,
            deep=options.deep,
            variant=options.variant,
            config=options.config,
            on_tensor=None if bar is None else bar.update,
        )
    print(json.dumps(report.to_dict(), indent=2) if options.json else as_text(report))
    return 0


def as_text(report: "Report") -> str:
    """The report as a table for people."""
    rows = [("file", f"{report.file} ({size_text(report.bytes)}, {report.stored_as})")]
    rows += [("what it is", report.what)]
    rows += [("variant", f"{report.variant or 'unknown'}, from {report.decided_by}")] * bool(
        report.decided_by
    )
    rows += [("tensors", f"{report.tensors:,}, {report.elements:,} numbers")]
    rows += [(f"  {part.name}", _part(part)) for part in report.parts]
    if report.expected is not None:
        rows += [("layout", _layout(report)), *_listed(report)]
    layers = ", ".join(f"{count} layers as {how}" for how, count in report.quantized.items())
    checks = {
        "quantized": layers or None,
        "VAE copies": report.vae_copies,
        "LayerNorm betas": report.norm_betas,
        "rotary inv_freq": report.inv_freq,
        "objective probe": report.objective_probe,
    }
    rows += [(name, text) for name, text in checks.items() if text is not None]
    rows += _entries("beside the weights", report.other_entries)
    rows += _entries("header", {k: f"{v:,} characters" for k, v in report.header.items()})
    rows += [(name, where) for name, where in report.auxiliary_files.items()]
    if report.not_finite is not None:
        rows += _entries("not finite", report.not_finite) or [("not finite", "none")]
    if report.config is not None:
        rows += [("sizes", ""), *((f"  {k}", v) for k, v in _flat(report.config))]
    rows += [("note", report.note)] * bool(report.note)
    return "\n".join(printable(f"{name:26}{text}".rstrip()) for name, text in rows)


def _part(part: "Part") -> str:
    kinds = ", ".join(f"{count} {dtype}" for dtype, count in part.dtypes.items())
    return (
        f"{part.tensors:5} tensors {part.elements:14,} numbers {size_text(part.nbytes):>9}  {kinds}"
    )


def _layout(report: "Report") -> str:
    if report.complete:
        return f"complete: all {report.expected:,} tensors by name and shape"
    return (
        f"INCOMPLETE: of {report.expected:,} tensors, {len(report.missing)} are missing, "
        f"{len(report.unexpected)} are unexpected, and {len(report.misshapen)} have another "
        "shape"
    )


def _listed(report: "Report", limit: int = 20) -> list[tuple[str, str]]:
    shapes = [f"{name} {found} for {expected}" for name, found, expected in report.misshapen]
    kinds = (
        ("missing", report.missing),
        ("unexpected", report.unexpected),
        ("other shape", shapes),
    )
    rows = []
    for what, names in kinds:
        rows += [(f"  {what}", name) for name in names[:limit]]
        if len(names) > limit:
            rows.append((f"  {what}", f"… and {len(names) - limit} more (--json lists all)"))
    return rows


def _entries(title: str, entries: Mapping[str, str], limit: int = 12) -> list[tuple[str, str]]:
    rows = [(title if i == 0 else "", f"{k}: {v}") for i, (k, v) in enumerate(entries.items())]
    return rows[:limit] + [("", f"… and {len(rows) - limit} more")] * (len(rows) > limit)


def _flat(config: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    """One line for each group of sizes."""
    plain = {k: v for k, v in config.items() if not isinstance(v, dict) and k != "note"}
    groups = {"model": plain, **{k: v for k, v in config.items() if isinstance(v, dict)}}
    for name, group in groups.items():
        yield name, ", ".join(f"{key} {value}" for key, value in group.items())
