"""A run as JSON: all that is needed to repeat it.

Nothing here imports PyTorch: the command line reads a record before it knows whether it needs it.
"""

import json
from collections.abc import Mapping
from difflib import get_close_matches
from os import fspath
from pathlib import Path
from typing import Any

from ..errors import SettingsError, shown
from ..limits import ACCELERATIONS, DTYPE_NAMES, check_device_name
from ..paths import local_path
from ..variants import VARIANTS
from .model_options import ModelOptions
from .request import Request

PATHS = ("video", "image", "audio", "init_audio")  # fields of a request
MODEL_PATHS = ("checkpoint", "text_encoder", "vae", "synchformer", "config")
_LARGEST = 1 << 24  # bytes of a record


def record_of(request: Request, model: ModelOptions, output: Path) -> dict[str, Any]:
    """A run as values of JSON; paths are absolute, so that it can be repeated in another folder.

    Args:
        request: with settings that are not left to the model.
        model: with the device and the dtype that were used.
        output: the file to write, or the name that the takes got a number in.
    """
    return {
        "request": {
            name: _plain(local_path(value) if name in PATHS and value is not None else value)
            for name, value in vars(request).items()
        },
        "model": {name: _plain(value) for name, value in vars(model).items()},
        "output": _plain(output),
    }


def read_record(path: Path) -> dict[str, Any]:
    """The options of a run from a file with its record, such as the output of `--json`.

    Returns:
        The fields of `Request` and of `ModelOptions`, and `output`.

    Raises:
        SettingsError: the file cannot be read, or is not a record of a run.
    """
    try:
        with path.open("rb") as file:
            values = json.loads(file.read(_LARGEST))
    except OSError as error:
        raise SettingsError(f"{path} cannot be read: {error.strerror}. Check its name.") from error
    except ValueError as error:
        raise SettingsError(f"{path} is not JSON ({error}): use the output of --json.") from error
    if not isinstance(values, dict) or not {"request", "model", "output"} <= values.keys():
        raise SettingsError(f"{path} is not a record of a run: use the output of generate --json.")
    if not isinstance(output := values["output"], str):
        raise SettingsError(f"output is {shown(output)}: it must be the name of a file.")
    given = request_values(values["request"]) | model_values(values["model"])
    return {**given, "output": local_path(output)}


def request_values(values: object) -> dict[str, Any]:
    """The fields of a request from values of JSON; `check_request` checks what they contain.

    Raises:
        SettingsError: no table, or a name that is no field of a request.
    """
    given = _checked_names("request", values, Request)
    for name in PATHS:
        if isinstance(given.get(name), str):
            given[name] = local_path(given[name])
    for name in ("prompts", "inpaint"):
        if name in given:
            given[name] = _tuples(given[name])
    if isinstance(hide := given.get("hide"), dict):
        given["hide"] = {name: _tuples(spans) for name, spans in hide.items()}
    return given


def model_values(values: object) -> dict[str, Any]:
    """The options of a model from values of JSON, checked.

    Raises:
        SettingsError: no table, an unknown name, or a value that no model has.
    """
    given = _checked_names("model", values, ModelOptions)
    for name in MODEL_PATHS:
        if given.get(name) is not None:
            given[name] = local_path(given[name])
    choices = {"variant": VARIANTS, "dtype": ("auto", *DTYPE_NAMES), "accelerate": ACCELERATIONS}
    for name, allowed in choices.items():
        value = given.get(name)
        if value is not None and value not in tuple(allowed):
            raise SettingsError(f"{name} is {shown(value)}: use one of {', '.join(allowed)}.")
    if given.get("device") is not None:
        check_device_name(given["device"])
    if "lora" in given:
        listed = given["lora"] if isinstance(given["lora"], list) else [given["lora"]]
        given["lora"] = tuple(_lora(_tuples(item)) for item in listed)
    return given


def _lora(item: Any) -> tuple[Path, float]:
    match item:
        case (str() as name, int() | float() as strength):
            return local_path(name), float(strength)
    raise SettingsError(f"lora has {shown(item)}: use a list of a file and a strength for each.")


def _checked_names(what: str, values: object, kind: type) -> dict[str, Any]:
    if not isinstance(values, Mapping):
        raise SettingsError(f"{what} is {shown(values)}: it must be a table of its fields.")
    names = kind.__dataclass_fields__  # type: ignore[attr-defined]
    for name in values:
        if name not in names:
            near = "".join(f" Did you mean {n}?" for n in get_close_matches(str(name), names, 1))
            raise SettingsError(f"{what} has no field {shown(name)}.{near}")
    return dict(values)


def _tuples(value: Any) -> Any:
    """Lists as tuples, at every depth."""
    return tuple(_tuples(item) for item in value) if isinstance(value, list) else value


def _plain(value: Any) -> Any:
    """A value of JSON."""
    if isinstance(value, Path):
        return fspath(value.absolute())
    if isinstance(value, Mapping):
        return {name: _plain(item) for name, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, tuple | list) else value
