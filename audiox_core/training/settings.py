"""Settings from TOML and `section.key=value`; for an unknown key the error suggests a known one."""

import json
import sys
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import is_dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

from ..config import AudioXConfig
from ..errors import SettingsError
from .config import TrainConfig


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
                raise SettingsError(f"{name} cannot be set: {section} is not a section.")
        table[key] = value
    _check_keys(TrainConfig, data, "")
    return _build(TrainConfig, data, "").checked()


def parse_assignment(text: str) -> tuple[str, Any]:
    """`optim.lr=1e-4` -> the name and the value; other values are text."""
    name, equals, value = text.partition("=")
    if not equals or "." not in name:
        raise SettingsError(
            f"{text!r} is not a setting: write section.key=value, for example optim.lr=1e-4."
        )
    try:
        return name.strip(), json.loads(value)
    except ValueError:
        return name.strip(), value.strip()


def _read(path: Path) -> dict[str, Any]:
    if sys.version_info < (3, 11):
        raise SettingsError(
            f"{path.name} is TOML, which needs Python 3.11 (this is "
            f"{sys.version_info[0]}.{sys.version_info[1]}): use --set section.key=value instead."
        )
    import tomllib

    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SettingsError(
            f"The settings {path} cannot be read ({error}): use a TOML file with sections such "
            "as [optim] and [run]."
        ) from error


def _build(kind: Any, data: Any, where: str) -> Any:
    if kind is AudioXConfig:
        try:
            return AudioXConfig.from_json(json.dumps(data))
        except ValueError as error:
            raise SettingsError(f"[{where}] is not a model: {error}. Correct the sizes.") from error
    if isinstance(kind, type) and is_dataclass(kind):
        hints = get_type_hints(kind)
        return kind(**{key: _build(hints[key], data[key], _join(where, key)) for key in data})
    if get_origin(kind) is tuple:
        inner, expected = get_args(kind)[0], get_args(kind)
        many = expected[-1] is Ellipsis
        if isinstance(data, (list, tuple)) and (many or len(data) == len(expected)):
            return tuple(_build(inner, item, where) for item in data)
        count = "several" if many else str(len(expected))
        raise SettingsError(f"{where} is {data!r}: write {count} numbers in brackets.")
    if kind is float and isinstance(data, int) and not isinstance(data, bool):
        return float(data)
    if isinstance(data, str) and kind in (int, float):
        with suppress(ValueError):
            data = kind(data)
    if not isinstance(data, kind) or (kind is not bool and isinstance(data, bool)):
        names = {int: "an integer", float: "a number", bool: "true or false", str: "text"}
        raise SettingsError(f"{where} is {data!r}: it must be {names[kind]}.")
    return data


def _check_keys(kind: Any, data: Any, where: str) -> None:
    """Raise SettingsError for a key that no dataclass of `kind` has, at any depth."""
    kinds = [k for k in (get_args(kind) or (kind,)) if is_dataclass(k)]
    if not kinds or data is None:
        return
    if not isinstance(data, Mapping):
        raise SettingsError(f"{where} is {data!r}: expected a section with keys.")
    known: dict[str, list[Any]] = {}
    for one in kinds:
        for name, hint in get_type_hints(one).items():
            known.setdefault(name, []).append(hint)
    for key, value in data.items():
        if key not in known:
            raise _unknown(_join(where, key), key, known)
        for hint in known[key]:
            _check_keys(hint, value, _join(where, key))


def _unknown(name: str, key: str, known: Iterable[str]) -> SettingsError:
    near = get_close_matches(key, known, n=1, cutoff=0.0)
    return SettingsError(
        f"Unknown setting {name!r}: did you mean {near[0]!r}? Known settings: "
        f"{', '.join(sorted(known))}."
    )


def _join(where: str, key: str) -> str:
    return f"{where}.{key}" if where else key
