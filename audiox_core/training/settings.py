"""Settings from TOML and `section.key=value`; for an unknown key the error suggests a known one."""

import json
import re
import sys
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import is_dataclass
from difflib import get_close_matches
from pathlib import Path
from types import NoneType
from typing import Any, get_args, get_origin, get_type_hints

from ..config import LARGEST, LARGEST_OF
from ..errors import LONGEST_SHOWN, SettingsError, check_number, shown
from .config import TrainConfig

LARGEST_FILE = 1 << 16  # bytes
MOST_DOTS = 500  # of a line: for a key of n parts `tomllib` takes memory by the square of n
LONGEST_TEXT = 4_096  # characters: as long as a path can be
MOST_ENTRIES = 100  # of a list
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def read_settings(
    path: str | Path | None, assignments: Iterable[tuple[str, Any]] = ()
) -> TrainConfig:
    """The config of a TOML file, or the defaults, with single values set on top.

    Args:
        path: sections are the fields of `TrainConfig`.
        assignments: "section.key" and its value; text is read as in TOML.

    Raises:
        SettingsError: no such file, invalid TOML, an unknown key, a value of another type.
    """
    data = {} if path is None else _read(Path(path))
    for name, value in assignments:
        *sections, key = name.split(".")
        table = data
        for section in sections:
            table = table.setdefault(section, {})
            if not isinstance(table, dict):
                raise SettingsError(f"{shown(name)} cannot be set: it is in no section.")
        table[key] = value
    config: TrainConfig = _build(TrainConfig, data, "")
    try:
        config.model.checked()
    except ValueError as error:
        raise SettingsError(f"[model] is not a model: {error}. Correct the sizes.") from error
    return config.checked()


def parse_assignment(text: str) -> tuple[str, Any]:
    """`optim.lr=1e-4` -> the name and the value; other values are text."""
    name, equals, value = text.partition("=")
    if not equals or "." not in name:
        raise SettingsError(
            f"{shown(text)} is not a setting: write section.key=value, for example optim.lr=1e-4."
        )
    try:
        return name.strip(), json.loads(value)
    except (ValueError, RecursionError):
        return name.strip(), value.strip()


def _read(path: Path) -> dict[str, Any]:
    if sys.version_info < (3, 11):
        raise SettingsError(
            f"{path.name} is TOML, which needs Python 3.11 (this is "
            f"{sys.version_info[0]}.{sys.version_info[1]}): use --set section.key=value instead."
        )
    import tomllib

    if not path.is_file() or path.stat().st_size > LARGEST_FILE:
        raise SettingsError(
            f"{path} is not a file of settings: use a TOML file of at most {LARGEST_FILE:,} bytes."
        )
    try:
        text = path.read_text(encoding="utf-8")
        if any(line.count(".") > MOST_DOTS for line in text.splitlines()):
            raise ValueError(f"a line has more than {MOST_DOTS} dots")
        return tomllib.loads(text)
    except (OSError, ValueError, RecursionError) as error:
        raise SettingsError(
            f"The settings {path} cannot be read ({str(error)[:160]}): use a TOML file with "
            "sections such as [optim] and [run]."
        ) from error


def _build(kind: Any, data: Any, where: str) -> Any:
    """A section, a list or a single value of a type, from parsed TOML."""
    if get_origin(kind) is tuple:
        return _entries(get_args(kind), data, where)
    kinds = get_args(kind) or (kind,)
    sections = [kind for kind in kinds if is_dataclass(kind)]
    if data is None and NoneType in kinds:
        return None
    if not sections:
        return _value(kinds[0], data, where)
    if not isinstance(data, Mapping):
        raise SettingsError(f"{where} is {shown(data)}: expected a section with keys.")
    known = [get_type_hints(kind) for kind in sections]
    chosen = next((i for i, hints in enumerate(known) if data.keys() <= hints.keys()), 0)
    hints = known[chosen]
    for key in data.keys() - hints.keys():
        near = get_close_matches(key[:LONGEST_SHOWN], hints, n=1, cutoff=0.0)
        raise SettingsError(
            f"Unknown setting {shown(f'{where}.{key}'.lstrip('.'))}: did you mean {near[0]!r}? "
            f"Known settings: {', '.join(sorted(hints))}."
        )
    built: Any = sections[chosen]
    names = {key: f"{where}.{key}".lstrip(".") for key in data}
    return built(**{key: _build(hints[key], data[key], name) for key, name in names.items()})


def _entries(kinds: tuple[Any, ...], data: Any, where: str) -> tuple[Any, ...]:
    many = kinds[-1] is Ellipsis
    counts = range(MOST_ENTRIES + 1) if many else (len(kinds),)
    if not isinstance(data, (list, tuple)) or len(data) not in counts:
        count = f"at most {MOST_ENTRIES}" if many else str(len(kinds))
        raise SettingsError(f"{where} is {shown(data)}: write {count} values in brackets.")
    return tuple(_value(kinds[0], item, where) for item in data)


def _value(kind: Any, data: Any, where: str) -> Any:
    if kind in (int, float) and isinstance(data, (int, str)) and not isinstance(data, bool):
        with suppress(ValueError, OverflowError):  # the range of a huge integer is checked later
            data = kind(data)
    accepted = (int, float) if kind is float else kind
    if not isinstance(data, accepted) or (kind is not bool and isinstance(data, bool)):
        names = {int: "an integer", float: "a number", bool: "true or false", str: "text"}
        raise SettingsError(f"{where} is {shown(data)}: it must be {names[kind]}.")
    if isinstance(data, str) and (len(data) > LONGEST_TEXT or CONTROL.search(data)):
        expected = f"at most {LONGEST_TEXT:,} characters, without control characters"
        raise SettingsError(f"{where} is {shown(data)}: it must be {expected}.")
    if where.startswith("model.") and kind in (int, float):
        name = where.rpartition(".")[2]
        check_number(where, data, 0, LARGEST_OF.get(name, LARGEST))
    return data
