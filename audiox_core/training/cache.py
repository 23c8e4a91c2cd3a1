"""What is made of clips once and read at every step: shards of safetensors, mapped into memory.

A shard holds some clips one after another, is written whole or not at all, and is made by
whichever process comes first: several may fill a cache, and one that was killed goes on where it
was. Clips that cannot be used are counted and listed, never lost silently.
"""

import json
import multiprocessing
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Protocol

import torch
from filelock import FileLock
from safetensors import SafetensorError, safe_open
from torch import Tensor

from ..checkpoint.weight_file import Stored
from ..checkpoint.write import write_safetensors
from ..errors import AudioXError, SettingsError

SHARD = 32  # clips

OnProgress = Callable[[int, int], None]  # clips done, clips in all


@dataclass(frozen=True)
class Item:
    """What is kept of a clip."""

    tensors: Mapping[str, Tensor]
    caption: str = ""


Make = Callable[[int], Item]  # the clip of this number; raises AudioXError where it is unusable


class Maker(Protocol):
    """Knows how to make items; can be sent to another process, so it opens things there."""

    def key(self) -> str:
        """A name for all that the items depend on."""
        ...

    def open(self) -> Make:
        """Open the source and the encoders."""
        ...


@dataclass(frozen=True)
class Skipped:
    """A clip that could not be used, and why."""

    index: int
    reason: str


@dataclass
class Cache:
    """Items by position; opened after `fill` made all shards."""

    key: str  # of its maker
    shards: list[Path]
    places: list[tuple[int, int]] = field(default_factory=list)  # shard and clip of each item
    captions: list[str] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    _open: dict[int, safe_open] = field(default_factory=dict)
    _names: dict[int, dict[int, list[str]]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, position: int) -> dict[str, Tensor]:
        """The tensors of an item; they lie in the file until they are used."""
        shard, clip = self.places[position]
        file = self._open[shard]
        return {name: file.get_tensor(f"{clip}.{name}") for name in self._names[shard][clip]}

    def fingerprint(self) -> str:
        """Of the captions, and of the tensors of some clips: the same clips, the same name."""
        digest = blake2b(repr(self.captions).encode(), digest_size=8)
        for position in range(min(SHARD, len(self))):
            for _, tensor in sorted(self[position].items()):
                digest.update(tensor.numpy().tobytes())
        return digest.hexdigest()

    def add(self, number: int) -> None:
        """Open a shard."""
        file = safe_open(self.shards[number], framework="pt")
        header = file.metadata()
        captions = json.loads(header["captions"])
        names: dict[int, list[str]] = {}
        for name in file.keys():  # noqa: SIM118  (it is no dictionary)
            clip, _, rest = name.partition(".")
            names.setdefault(int(clip), []).append(rest)
        self._open[number], self._names[number] = file, names
        for clip, caption in captions:
            self.places.append((number, clip))
            self.captions.append(caption)
        self.skipped += [Skipped(*pair) for pair in json.loads(header["skipped"])]


def open_cache(
    maker: Maker, folder: Path, indices: range, *,
    workers: int = 1, on_progress: OnProgress = lambda *_: None,
) -> Cache:  # fmt: skip
    """Make what is missing of a cache, and open it.

    Args:
        maker: of the items.
        folder: in which caches lie; each has a folder of its own there, named by its key.
        indices: clips of the source.
        workers: processes; 0 and 1 do the work in this one.
        on_progress: called after each shard with the clips done and all clips.

    Raises:
        SettingsError: none of the clips can be used.
        WeightsError: a shard cannot be written.
    """
    folder = folder / maker.key()
    folder.mkdir(parents=True, exist_ok=True)
    jobs = [
        (folder / f"{part[0]:06d}-{part[-1]:06d}.safetensors", part)
        for part in (indices[at : at + SHARD] for at in range(0, len(indices), SHARD))
    ]
    missing = [job for job in jobs if not job[0].exists()]
    done = len(indices) - sum(len(part) for _, part in missing)
    if missing:
        on_progress(done, len(indices))
    for part in _filled(maker, missing, workers):
        done += len(part)
        on_progress(done, len(indices))
    cache = Cache(folder.name, [path for path, _ in jobs])
    for number, (path, _) in enumerate(jobs):
        try:
            cache.add(number)
        except (SafetensorError, OSError, KeyError, ValueError) as error:
            raise SettingsError(
                f"The cache's {path} is damaged ({error}): delete it, it will be made again."
            ) from error
    if not cache.places:
        first = cache.skipped[0].reason if cache.skipped else "there are none"
        raise SettingsError(f"None of the {len(indices)} clips can be used; the first: {first}")
    return cache


def _filled(maker: Maker, jobs: list[tuple[Path, range]], workers: int) -> Iterator[range]:
    """Make the shards; yields the clips of each when it is done."""
    if workers <= 1 or len(jobs) <= 1:
        make = maker.open() if jobs else None
        for path, part in jobs:
            _write_shard(make, path, part)
            yield part
        return
    context = multiprocessing.get_context("spawn")  # threads do not survive a fork
    with ProcessPoolExecutor(min(workers, len(jobs)), context, _begin, (maker,)) as pool:
        waiting = {pool.submit(_work, path, part): part for path, part in jobs}
        try:
            for future in as_completed(waiting):
                future.result()
                yield waiting[future]
        except BrokenProcessPool:
            raise SettingsError(
                "A process that made clips ready was ended from outside, maybe for want of "
                "memory: run again with fewer --workers; what is ready is kept."
            ) from None
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


_here: list[Make] = []  # of a worker process


def _begin(maker: Maker) -> None:
    torch.set_num_threads(1)  # a process of ours, one of several
    _here.append(maker.open())


def _work(path: Path, part: range) -> None:
    _write_shard(_here[0], path, part)


def _write_shard(make: Make, path: Path, part: range) -> None:
    with FileLock(path.with_suffix(".lock")):
        if path.exists():  # another process was faster
            return
        tensors, captions, skipped = {}, [], []
        for index in part:
            try:
                item = make(index)
            except AudioXError as error:
                skipped.append((index, str(error)))
                continue
            captions.append((index, item.caption))
            tensors |= {f"{index}.{name}": tensor for name, tensor in item.tensors.items()}
        metadata = {"captions": json.dumps(captions), "skipped": json.dumps(skipped)}
        stored = {name: Stored(tuple(t.shape), t.dtype) for name, t in tensors.items()}
        write_safetensors(path, stored, tensors.__getitem__, metadata)
    path.with_suffix(".lock").unlink(missing_ok=True)
