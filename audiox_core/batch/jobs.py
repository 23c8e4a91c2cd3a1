"""From an item to a job: its settings with the defaults of the command line, and its output."""

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property
from hashlib import blake2b
from pathlib import Path
from typing import Any

from ..checkpoint.released_files import checkpoint_path
from ..conditioners.inputs import parse_hidden, parse_spans
from ..errors import SettingsError, check_number, shown
from ..limits import MAX_TAKES
from ..media.formats import SUFFIXES, copy_suffix
from ..paths import local_path
from ..pipeline.model_options import ModelOptions, model_options, parse_lora
from ..pipeline.outputs import check_suffix
from ..pipeline.record import MODEL_PATHS, model_values, request_values
from ..pipeline.record import PATHS as INPUTS
from ..pipeline.request import GUIDANCE, SAMPLING, STRENGTHS, Request, check_request
from .items import Item

REQUEST, MODEL = Request.__dataclass_fields__.keys(), ModelOptions.__dataclass_fields__.keys()
PATHS = (*INPUTS, *MODEL_PATHS)
OF_A_VIDEO = ("start", "keep_original", "duck")  # defaults that only concern items with a video
_DEFAULTS = vars(Request())
LONGEST_SLUG = 40  # characters of a prompt in a name
_FORMAT = re.compile(r"\.[A-Za-z]\w{1,3}")  # what looks like one at the end of a name
DEFAULT_NAME = "{folder}/{stem}"


@dataclass(frozen=True)
class Job:
    """One request with its output and its model."""

    number: int  # of the item
    output: Path
    request: Request
    model: ModelOptions

    def check(self) -> None:
        """Raise SettingsError for settings that no run can use."""
        check_request(self.request)
        check_suffix(self.output, self.request)


@dataclass(frozen=True)
class JobMaker:
    """Makes jobs of items."""

    defaults: Mapping[str, Any]  # the options of the command line by their names in `Request`
    output: Path  # folder, absolute
    name: str = DEFAULT_NAME  # pattern of the outputs below it

    def make(self, item: Item) -> Job:
        """The job of an item; `Job.check` is left to the caller.

        Raises:
            SettingsError: the item cannot be used; the message says why.
        """
        if item.problem:
            raise SettingsError(item.problem)
        named = _fields(item)
        output = named.pop("output", None)
        given, of_model = _converted(named, item.folder)
        values = {**self._request, **given}
        if values["video"] is None:
            values |= {name: _DEFAULTS[name] for name in OF_A_VIDEO if name not in given}
        check_number("takes", values["takes"], 1, MAX_TAKES, whole=True)  # each has an output
        path = self._named(item, values) if output is None else self._given(output)
        if values["seed"] is None:
            values["seed"] = _seed(str(path).removeprefix(self._prefix).replace(os.sep, "/"))
        model = model_options({**self.defaults, **of_model}) if of_model else self._model
        return Job(item.number, path, Request(**values), model)

    @cached_property
    def _request(self) -> dict[str, Any]:
        return _DEFAULTS | {name: value for name, value in self.defaults.items() if name in REQUEST}

    @cached_property
    def _model(self) -> ModelOptions:
        return model_options(self.defaults)

    @cached_property
    def _prefix(self) -> str:
        return str(self.output / "x")[:-1]

    def _given(self, output: Any) -> Path:
        if not isinstance(output, str) or not output:
            raise SettingsError(f"output is {shown(output)}: write the name of a file.")
        return self.output / local_path(output)

    def _named(self, item: Item, values: dict[str, Any]) -> Path:
        """The output by the pattern; a seed that it contains is set."""
        inputs = (values[name] for name in ("video", "image", "init_audio", "audio"))
        file = next((Path(path) for path in inputs if path is not None), None)
        name = item.name or ("" if file is None else file.stem) or f"{item.number:06}"
        if values["seed"] is None and "{seed" in self.name:
            values["seed"] = _seed(name)
        parts = {
            "stem": Path(name).name,
            "folder": Path(name).parent.as_posix(),
            "number": f"{item.number:06}",
            "prompt": _slug(str(values["prompt"])) or Path(name).name,
            "seed": values["seed"],
        }
        path = self.output / self.name.format(**parts)
        if path.suffix.lower() in SUFFIXES:
            return path
        suffix = ".wav" if values["video"] is None else copy_suffix(values["video"])
        return path.with_name(path.name + suffix)


def check_defaults(defaults: Mapping[str, Any]) -> None:
    """Raise SettingsError for options that fit no item; those that need an input are left out."""
    alone = ("prompt", "negative", "prompts", "crossfade", "seconds", "gain", "lufs", "takes")
    given: dict[str, Any] = {n: defaults[n] for n in (*alone, *STRENGTHS, *SAMPLING, *GUIDANCE)}
    given["prompt"] = given["prompt"] or "sound"
    check_request(Request(**given))


def check_name(pattern: str) -> None:
    """Raise SettingsError for a pattern of names that has unknown placeholders, or no name."""
    parts = dict.fromkeys(("stem", "number", "prompt"), "a") | {"folder": ".", "seed": 1}
    try:
        name = Path(pattern.format(**parts))
        if not name.name:
            raise ValueError("the name is empty")
        if _FORMAT.fullmatch(name.suffix) and name.suffix.lower() not in SUFFIXES:
            raise ValueError(f"{name.suffix} is none of {' '.join(SUFFIXES)}")
    except (KeyError, IndexError, ValueError, AttributeError) as error:
        raise SettingsError(
            f"--name {shown(pattern)} is not a pattern ({type(error).__name__}: {error}): use "
            "{stem}, {folder}, {number}, {prompt} and {seed}."
        ) from error


def _slug(prompt: str) -> str:
    return re.sub(r"\W+", "-", prompt.lower())[:LONGEST_SLUG].strip("-")


def _seed(name: str) -> int:
    """A seed made from a name: the same in every run."""
    return int.from_bytes(blake2b(name.encode(), digest_size=4).digest(), "big")


def _fields(item: Item) -> dict[str, Any]:
    """The fields of an item by their names in `Request`; a record of `generate --json` has them."""
    fields = dict(item.fields)
    if isinstance(fields.get("request"), Mapping):
        model = fields.get("model") or {}
        if not isinstance(model, Mapping):
            raise SettingsError(f"model is {shown(model)}: it must be a table of its fields.")
        fields = {**fields["request"], **model, "output": fields.get("output")}
    return {name.replace("-", "_"): value for name, value in fields.items()}


def _converted(given: Mapping[str, Any], folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """The values of a line as a request and as a model have them."""
    values = {name: _value(name, value, folder) for name, value in given.items()}
    if (prompts := values.pop("prompt_at", None)) is not None:
        values["prompts"] = prompts
    request = {name: value for name, value in values.items() if name in REQUEST}
    model = {name: value for name, value in values.items() if name in MODEL}
    return request_values(request), model_values(model) if model else {}


def _value(name: str, value: Any, folder: Path) -> Any:
    """A value of a line, with what the command line writes as text in the form of `Request`."""
    if name not in REQUEST and name not in MODEL and name != "prompt_at":
        near = get_close_matches(name, [*REQUEST, *MODEL, "output"], 1)
        hint = f"did you mean {near[0]!r}?" if near else "see `generate --help` for the options."
        raise SettingsError(f"Unknown field {shown(name)}: {hint}")
    if name in PATHS and value is not None:
        path = folder / local_path(value)
        if name == "checkpoint" and not path.exists():  # such as `turbo`
            found = checkpoint_path(value)
            path = path if found == Path(value) else found
        return str(path)
    try:
        if name == "prompt_at":
            return [(*span, text) for times, text in value for span in parse_spans(times)]
        if name == "lora":
            return [*_loras(value, folder)]
    except (TypeError, ValueError, IndexError, AttributeError) as error:
        form = '[["0-4", "rain"]]' if name == "prompt_at" else '["FILE:STRENGTH"]'
        raise SettingsError(f"{name} is {shown(value)}: write it as {form}.") from error
    if name == "hide" and isinstance(value, str):
        return parse_hidden(value)
    return parse_spans(value) if name == "inpaint" and isinstance(value, str) else value


def _loras(value: Any, folder: Path) -> Iterator[tuple[str, float]]:
    """LoRAs as a text `FILE[:STRENGTH]`, a list of such texts, or of pairs."""
    for entry in [value] if isinstance(value, str) else value:
        path, strength = parse_lora(entry) if isinstance(entry, str) else entry
        yield str(folder / local_path(path)), float(strength)
