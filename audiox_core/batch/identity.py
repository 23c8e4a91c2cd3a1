"""What makes a job the same job in another run: its request, its inputs and its model."""

import json
from collections.abc import Hashable
from functools import lru_cache, partial
from hashlib import blake2b
from pathlib import Path
from typing import Any

from ..checkpoint import auxiliary_files as auxiliary
from ..checkpoint.file_check import SAFETENSORS
from ..checkpoint.released_files import EMBEDDED
from ..pipeline.model_options import ModelOptions
from ..pipeline.record import PATHS as INPUTS
from ..pipeline.request import Request
from .jobs import Job

HEADER = 1 << 16  # bytes at the end of a pickle, where its zip lists the checksums of its records
LONGEST_HEADER = 100 << 20
CHUNK = 1 << 20
HASHES = 64  # of inputs that are kept
_DEFAULTS = vars(Request())


class Identity:
    """Keys of jobs. An input counts by its path, size and time, a model by its header and size."""

    def __init__(self, *, content: bool = False) -> None:
        """`content`: hash the content of inputs, in place of their time."""
        self._content = content
        self._hash = lru_cache(HASHES)(_hash)  # an item asks for it three times
        self._models: dict[ModelOptions, str] = {}

    def key(self, job: Job) -> str:
        """The key of a job with its inputs as they are now: 16 hexadecimal digits."""
        request, models = vars(job.request), self._models
        model = models.get(job.model) or models.setdefault(job.model, model_key(job.model))
        changed = {n: v for n, v in request.items() if v != _DEFAULTS[n] and n not in INPUTS}
        inputs = {n: self._file(request[n]) for n in INPUTS if request[n] is not None}
        return _digest([str(job.output), changed, inputs, model])

    def _file(self, path: str | Path) -> Hashable:
        path = Path(path).absolute()
        try:
            status = path.stat()
            if self._content:
                return (str(path), self._hash(path, status.st_size, status.st_mtime_ns))
        except OSError:  # rendering says what is wrong
            return (str(path), "missing")
        return (str(path), status.st_size, status.st_mtime_ns)


def text_key(text: object) -> str:
    """The key of an item that is no job."""
    return _digest(text)


def model_key(options: ModelOptions) -> str:
    """The key of a model: its options, and the header and size of each of its files."""
    checkpoint = options.checkpoint or EMBEDDED
    finders = (
        auxiliary.find_config,
        partial(auxiliary.find_vae, variant=options.variant),
        auxiliary.find_text_encoder,
        auxiliary.find_synchformer,
    )
    found = [find(checkpoint) for find in finders]
    named = (*options.files, options.config, options.text_encoder)
    files = [_header(path) for path in (checkpoint, *named, *found) if path is not None]
    settings = {n: v for n, v in vars(options).items() if n not in ("device", "accelerate")}
    return _digest([settings, files])


def _header(path: Path) -> tuple[str, int, str] | str:
    """The name, size and header of a weights file."""
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            if path.suffix.lower() in SAFETENSORS:
                length = int.from_bytes(file.read(8), "little")
                header = file.read(min(length, LONGEST_HEADER))
            else:
                file.seek(max(0, size - HEADER))
                header = file.read(HEADER)
    except OSError:
        return str(path)
    return path.name, size, blake2b(header, digest_size=8).hexdigest()


def _hash(path: Path, _size: int, _time: int) -> str:
    digest = blake2b(digest_size=16)
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def _digest(parts: Any) -> str:
    text = json.dumps(parts, sort_keys=True, default=str)
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()
