"""Latents and features of clips, made once and cached: shards of safetensors, memory-mapped.

A shard holds some clips, is written completely or not at all, and is made by whichever process
comes first: several may fill a cache, and one that was killed resumes where it was. Clips that
cannot be used are counted and listed.
"""

import json
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from threading import Thread
from typing import Any, Protocol

import torch
from filelock import FileLock
from safetensors import SafetensorError, safe_open
from torch import Tensor

from ..checkpoint.checkpoint_file import open_checkpoint
from ..checkpoint.layout import AUDIO_VAE
from ..checkpoint.part_files import open_vae
from ..checkpoint.weight_file import Stored, open_weights
from ..checkpoint.write import write_safetensors
from ..conditioners.assemble import Conditioners
from ..conditioners.audio import audio_conditioner
from ..conditioners.video import VideoConditioner, encode_sync
from ..config import AudioXConfig
from ..errors import AudioXError, SettingsError
from ..models.oobleck import Oobleck
from .clips import DataSource, TrainingClip, pad_crop
from .distributed import STOPPING

SHARD = 32  # clips

OnProgress = Callable[[int, int], None]  # clips done, clips in all


# The tensors and the caption of a clip, from its number; raises AudioXError if it is unusable.
MakeItem = Callable[[int], tuple[Mapping[str, Tensor], str]]


class Maker(Protocol):
    """Makes the items of a cache; can be sent to another process and opened there."""

    def key(self) -> str:
        """A name for everything that the items depend on."""
        ...

    def open(self) -> MakeItem:
        """Open the source and the encoders."""
        ...


@dataclass(frozen=True)
class FeatureMaker:
    """Makes what all stages but `vae` read.

    Per clip: `mean` and `std` of its latent; of a picture `frames` (or, with `encode_clip`, what
    CLIP makes of them: `clip`) and `sync`; of an audio prompt `prompt_mean` and `prompt_std`, or
    `prompt_mel`.
    """

    data_source: DataSource
    model: AudioXConfig
    vae: Path | None  # a file of its own
    init: Path | None  # a checkpoint, for all that `vae` does not hold
    encode_clip: bool = False  # CLIP is not trained and no patch is masked

    def key(self) -> str:
        """As `Maker`."""
        digest = blake2b(digest_size=8)
        encodes_video = self.encode_clip or self.model.video.sync is not None
        holds_vae = self.init is not None and bool(open_weights(self.init).below(AUDIO_VAE))
        needs_init = encodes_video or self.vae is None or holds_vae
        for path in (self.vae, self.init if needs_init else None):
            if path is not None:
                digest.update(open_weights(path).fingerprint().encode())
        digest.update(repr((self.encode_clip, self.model.mel)).encode())
        return f"features-{self.data_source.key()}-{digest.hexdigest()}"

    def open(self) -> MakeItem:
        """As `Maker`."""
        file: Any = None if self.init is None else open_checkpoint(self.init)
        conditioners: Any = None if file is None else file.load_conditioners()
        vae = file.load_vae() if self.vae is None else open_vae(self.vae).load()
        source = self.data_source.open()

        def make(index: int) -> tuple[Mapping[str, Tensor], str]:
            clip = source.clip(index)
            with torch.inference_mode():
                tensors = _posterior(vae, clip.audio, "")
                tensors |= self._pictures(clip, conditioners)
                tensors |= self._prompt(clip, vae, conditioners)
            return {name: t.contiguous() for name, t in tensors.items()}, clip.caption

        return make

    def _pictures(self, clip: TrainingClip, conditioners: Conditioners | None) -> dict[str, Tensor]:
        if clip.frames is None:
            return {}
        pictures = {"frames": clip.frames}
        if self.encode_clip:
            video: VideoConditioner = conditioners.video
            pictures = {"clip": video.clip_states(clip.frames).half()}
        sync = self.model.video.sync
        if sync is not None and clip.sync is not None and conditioners is not None:
            pictures["sync"] = encode_sync(conditioners.sync, clip.sync, sync.fps)[0]
        return pictures

    def _prompt(
        self, clip: TrainingClip, vae: Oobleck, conditioners: Conditioners | None
    ) -> dict[str, Tensor]:
        if clip.prompt is None:
            return {}
        samples = self.model.latent.samples(self.model.latent.conditioned_seconds)
        audio = pad_crop(clip.prompt, samples)
        if self.model.mel is not None:
            conditioner: Any = audio_conditioner(self.model)  # one of spectrograms
            return {"prompt_mel": conditioner.log_mel(audio[None])[0].half()}
        own: Any = None if conditioners is None else conditioners.audio.vae
        return _posterior(own or vae, audio, "prompt_")


def _posterior(vae: Oobleck, audio: Tensor, name: str) -> dict[str, Tensor]:
    """Mean and standard deviation of a sound's latent, `c t` in half precision."""
    posterior = vae.encode(audio[None].float())
    return {f"{name}mean": posterior.mean[0].half(), f"{name}std": posterior.std[0].half()}


@dataclass
class Cache:
    """Items by position, of shards that exist."""

    key: str  # of its maker
    shards: list[Path]
    items: list[tuple[safe_open, int]] = field(default_factory=list)  # file and clip of each
    captions: list[str] = field(default_factory=list)
    skipped: list[tuple[int, str]] = field(default_factory=list)  # clips, why they are unusable

    def __post_init__(self) -> None:
        """Open the shards. Raises SettingsError for one that is damaged."""
        for path in self.shards:
            try:
                file = safe_open(path, framework="pt")
                header = file.metadata()
                stored = {name.partition(".")[0] for name in file.keys()}  # noqa: SIM118
                for clip, caption in json.loads(header["captions"]):
                    if str(clip) not in stored or not isinstance(caption, str):
                        raise ValueError(f"clip {clip} is not in it")
                    self.items.append((file, clip))
                    self.captions.append(caption)
                for clip, why in json.loads(header["skipped"]):
                    self.skipped.append((int(clip), str(why)))
            except (SafetensorError, OSError, KeyError, ValueError, TypeError) as error:
                raise SettingsError(
                    f"The cache file {path} is damaged ({str(error)[:160]}): delete it; it will be "
                    "created again."
                ) from error

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, position: int) -> dict[str, Tensor]:
        """The tensors of an item; they stay in the file until they are used."""
        file, clip = self.items[position]
        prefix = f"{clip}."
        names = [name for name in file.keys() if name.startswith(prefix)]  # noqa: SIM118
        return {name.removeprefix(prefix): file.get_tensor(name) for name in names}

    def fingerprint(self) -> str:
        """A hash of the captions and of the tensors of some clips."""
        digest = blake2b(repr(self.captions).encode(), digest_size=8)
        for position in range(min(SHARD, len(self))):
            for _, tensor in sorted(self[position].items()):
                digest.update(tensor.numpy().tobytes())
        return digest.hexdigest()


def open_cache(
    maker: Maker,
    folder: Path,
    indices: range,
    *,
    workers: int = 1,
    first: float = 0.0,
    on_progress: OnProgress = lambda *_: None,
) -> Cache:
    """Make what is missing of a cache, and open it.

    Args:
        maker: of the items.
        folder: with all caches; each has a folder of its own there, named by its key.
        indices: clips of the source.
        workers: processes; with 0 or 1 this one does the work.
        first: share of what is missing, 0..1, after which to begin; so that several processes that
            make one cache do not wait for one another.
        on_progress: called after each shard with the clips done and all clips.

    Raises:
        SettingsError: none of the clips can be used, or a shard is damaged.
        WeightsError: a shard cannot be written.
    """
    folder = folder / maker.key()
    folder.mkdir(parents=True, exist_ok=True)
    parts = (indices[at : at + SHARD] for at in range(0, len(indices), SHARD))
    jobs = {folder / f"{part[0]:06d}-{part[-1]:06d}.safetensors": part for part in parts}
    missing = {path: part for path, part in jobs.items() if not path.exists()}
    done = len(indices) - sum(map(len, missing.values()))
    if missing:
        on_progress(done, len(indices))
    begin = int(first * len(missing))
    turned = dict([*missing.items()][begin:] + [*missing.items()][:begin])
    for part in _make_shards(maker, turned, workers):
        done += len(part)
        on_progress(done, len(indices))
    cache = Cache(folder.name, [*jobs])
    if not cache.items:
        reason = cache.skipped[0][1] if cache.skipped else "there are none"
        raise SettingsError(f"None of the {len(indices)} clips can be used; the first: {reason}")
    return cache


def _make_shards(maker: Maker, jobs: Mapping[Path, range], workers: int) -> Iterator[range]:
    """Make the shards; yields the clips of each when it is done."""
    if workers <= 1 or len(jobs) <= 1:
        make: Any = maker.open() if jobs else None
        for path, part in jobs.items():
            _write_shard(path, part, make)
            yield part
        return
    context = multiprocessing.get_context("spawn")  # threads do not survive a fork
    with ProcessPoolExecutor(min(workers, len(jobs)), context, _start_worker, (maker,)) as pool:
        waiting = {pool.submit(_write_shard, path, part): part for path, part in jobs.items()}
        try:
            for future in as_completed(waiting):
                future.result()
                yield waiting[future]
        except BrokenProcessPool:
            raise SettingsError(
                "A worker process was killed, perhaps because memory ran out: run again with "
                "fewer --workers. Finished clips are kept."
            ) from None
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for worker in multiprocessing.active_children():
                worker.terminate()
            raise


_worker: list[MakeItem] = []  # of a worker process


def _start_worker(maker: Maker) -> None:
    torch.set_num_threads(1)  # one of several processes
    for number in STOPPING:  # a terminal sends them to all; the parent ends its workers
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    Thread(target=_end_with_parent, daemon=True).start()
    _worker.append(maker.open())
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that no part of a shard is left


def _end_with_parent() -> None:
    """End this worker where its parent was killed; it would wait for work for ever."""
    parent: Any = multiprocessing.parent_process()
    parent.join()
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(10)  # to remove the shard that it was writing
    os._exit(1)


def _write_shard(path: Path, part: range, make: MakeItem | None = None) -> None:
    make = make or _worker[0]
    with ExitStack() as stack:
        stack.callback(path.with_suffix(".lock").unlink, missing_ok=True)
        stack.enter_context(FileLock(path.with_suffix(".lock")))
        if path.exists():  # another process was faster
            return
        tensors: dict[str, Tensor] = {}
        captions, skipped = [], []
        for index in part:
            try:
                made, caption = make(index)
            except AudioXError as error:
                skipped.append((index, str(error)))
                continue
            captions.append((index, caption))
            tensors |= {f"{index}.{name}": tensor for name, tensor in made.items()}
        metadata = {"captions": json.dumps(captions), "skipped": json.dumps(skipped)}
        stored = {name: Stored(tuple(t.shape), t.dtype) for name, t in tensors.items()}
        write_safetensors(path, stored, tensors.__getitem__, metadata)
