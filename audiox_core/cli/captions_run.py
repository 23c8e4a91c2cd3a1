"""The run of `captions`: what it imports takes seconds, so it is imported last."""

import argparse
from pathlib import Path

from ..config import AudioXConfig
from ..device import choose_device
from ..errors import SettingsError, check_number, one_line
from ..media.files import check_output
from ..overwrite import check_overwrite
from ..progress_bar import count_bar
from ..training.captioner import Captioner
from ..training.captions import Settings, caption_files, find_files, read_table
from ..training.clips import InvalidItem
from ..training.invalid_items import Report, check, counted
from ..training.manifest import Manifest, read, write
from ..training.media import ManifestSource
from .captions import MOST_WORKERS


def make_manifest(options: argparse.Namespace) -> int:
    """Write a manifest of the clips in a folder; returns the exit code."""
    listed = options.output.with_suffix(".skipped.jsonl")
    _check_options(options, (options.output, listed))
    table = Manifest() if options.csv is None else read_table(options.csv)
    files, closed = find_files(options.folder)
    if not files and not table.items:
        raise SettingsError(f"{options.folder} contains no media files: choose another folder.")
    captioner = None
    if options.model is not None:
        device = choose_device(options.device)
        captioner = Captioner(options.model, question=options.ask, device=device)
    settings = Settings(
        table=table,
        captioner=captioner,
        from_names=options.from_names,
        task=options.task,
        start_every=options.start_every,
    )
    with count_bar("captioning", "file", len(files)) as bar:
        made = caption_files(options.folder, files, settings, on_file=bar.update)
    made.skipped += closed
    report = made.report()
    if not made.items:
        first = made.skipped[0]
        raise SettingsError(
            f"No file in {options.folder} can be used: {counted(report.counts)}; "
            f"the first is {first.item}: {first.message}"
        )
    write(options.output, made.items)
    places = counted({f"by {source}": count for source, count in made.sources.items()})
    print(f"{len(made.items):,} items -> {options.output} ({places})")
    _list_invalid(report, listed, "left out")
    print(f"next: python -m audiox_core captions {options.folder} --check {options.output}")
    return 0


def check_manifest(options: argparse.Namespace) -> int:
    """Check a manifest; the exit code is 0 if at least one clip can be used."""
    check_number("--workers", options.workers, 1, MOST_WORKERS)
    listed = options.check.with_suffix(".invalid.jsonl")
    manifest = read(options.check)
    check_output(listed)
    lines = len(manifest.items) + len(manifest.invalid)
    with count_bar("looking", "line", lines) as bar:
        source = ManifestSource(manifest, options.folder, AudioXConfig(), on_item=bar.update)
    with count_bar("reading", "clip", len(source)) as bar:

        def count(invalid: InvalidItem | None) -> None:
            if invalid is not None:
                bar.set_description_str(
                    one_line(f"reading (last invalid: {invalid.item[:40]})"), refresh=False
                )
            bar.update()

        report = check(source, workers=options.workers, on_item=count)
    print(f"{report.usable:,} of {report.total:,} clips can be used")
    _list_invalid(report, listed, "invalid")
    if not report.usable:
        raise SettingsError(f"No valid clips: {counted(report.counts)}. See {listed}.")
    return 0


def _check_options(options: argparse.Namespace, targets: tuple[Path, ...]) -> None:
    """Raise SettingsError or MediaError for invalid options, before hours of work."""
    if not options.folder.is_dir():
        raise SettingsError(
            f"There is no folder {options.folder}: choose the folder with the media files."
        )
    for target in targets:
        check_output(target)
    check_overwrite(targets, force=options.force)
    worded = options.task is None or "text" in options.task.needs
    if worded and not (options.csv or options.model or options.from_names):
        raise SettingsError(
            "No source of captions: add --csv FILE, --from-names or --model NAME_OR_FOLDER."
        )
    if options.start_every is not None:
        check_number("--start-every", options.start_every, 0.1, 1_000_000)
    if options.ask is not None and options.model is None:
        raise SettingsError("--ask needs a captioner: add --model NAME_OR_FOLDER.")


def _list_invalid(report: Report, path: Path, what: str) -> None:
    """Write the list of invalid items and say where; without any, remove an older list."""
    if report.invalid:
        report.write(path)
        print(f"{len(report.invalid):,} {what} ({counted(report.counts)}) -> {path}")
    else:
        path.unlink(missing_ok=True)
    if report.notes:
        print(counted(report.notes))
