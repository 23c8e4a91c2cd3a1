"""Downloads by explicit request, resumed between runs and checked by their hashes.

huggingface_hub resolves names, tokens, mirrors (HF_ENDPOINT), offline mode (HF_HUB_OFFLINE) and its
cache (HF_HOME). From version 2 on it restarts a file in every new process, it never compares
contents, and it waits forever for a server that sends a byte now and then. So the transfer, partial
files between runs, the check against the hub's hash and the check of the free space are here.
"""

import errno
import hashlib
import logging
import os
import re
import shutil
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit

from ..locks import locked
from ..paths import new_folder
from . import transfer
from .models import LICENCE, OPTIONAL, HubError, HubModel, find_model

logger = logging.getLogger(__name__)

SPARE = 64 << 20  # bytes of a disk that a download leaves free
RETRIES, PAUSE = 3, 1.0  # of a lost connection, without a new byte between; seconds before each
_HASH = re.compile(r"[0-9a-f]{64}|[0-9a-f]{40}")


@dataclass(frozen=True)
class Job:
    """One file to download: what the hub says about it, and how much of it is here."""

    model: HubModel
    file: PurePosixPath  # in the repository
    target: Path
    url: str
    size: int | None = None  # bytes; None: the hub does not say, or was not asked
    etag: str = ""  # of the version on the hub, in lower case
    commit: str = ""
    have: int = 0  # bytes of an interrupted download
    done: bool = False  # the target exists with this size

    @property
    def hash(self) -> str | None:
        """The content's sha256, or git's hash of a small file; None: the hub does not say."""
        return self.etag if _HASH.fullmatch(self.etag) else None

    @property
    def part(self) -> Path:
        """The partial download; its name contains the version, so that versions never mix."""
        version = hashlib.sha256(f"{self.etag} {self.size}".encode()).hexdigest()[:16]
        return self.target.with_name(f".{self.target.name}.{version}.part")

    @property
    def missing(self) -> int:
        """Bytes that are still to download."""
        return 0 if self.done else (self.size or 0) - self.have


def plan(
    names: Sequence[str], folder: Path, *, endpoint: str | None = None, ask: bool = True
) -> list[Job]:
    """What is to download for some models; asks the hub for versions and sizes.

    Args:
        names: of `MODELS`, or short names.
        folder: the `models` folder.
        endpoint: of the hub; None is HF_ENDPOINT or huggingface.co.
        ask: False does not ask the hub: sizes stay unknown.

    Raises:
        HubError: unknown model; offline, no such file, no permission.
    """
    models = dict.fromkeys(map(find_model, names))
    _check_address(endpoint or os.environ.get("HF_ENDPOINT", "https://huggingface.co"))
    import huggingface_hub as hub  # takes a while, and most commands never download

    jobs = []
    for model, file in ((m, f) for m in models for f in m.files):
        url = hub.hf_hub_url(model.repo, str(file), endpoint=endpoint)
        job = Job(model, file, Path(folder) / model.folder / file.name, url)
        jobs.append(_asked(job, endpoint) if ask else job)
    return [job for job in jobs if job is not None]


def fetch(
    names: Sequence[str],
    folder: Path,
    *,
    endpoint: str | None = None,
    on_job: Callable[[Job], object] | None = None,
    on_bytes: Callable[[int], object] | None = None,
) -> list[Job]:
    """Download models into `folder`; complete files are not downloaded again.

    The next run continues an interrupted download. A file gets its final name when it is complete
    and its hash, if the hub gives one, was compared.

    Args:
        names, folder, endpoint: as in `plan`.
        on_job: called with each file before its download.
        on_bytes: called with the length of each piece that arrived.

    Returns:
        The files; those with a `hash` were compared with it.

    Raises:
        HubError: offline, no such file, no permission, no space, or a wrong hash.
    """
    jobs = plan(names, folder, endpoint=endpoint)
    if any(job.model.non_commercial for job in jobs):
        logger.warning("%s", LICENCE)
    jobs = [_compared(job) for job in jobs]
    _check_room(jobs)
    for job in jobs:
        if on_job is not None:
            on_job(job)
        if not job.done:
            _get(job, on_bytes or (lambda _count: None))
    return jobs


def _check_address(address: str) -> None:
    with suppress(ValueError):  # of a port out of range, or half of an IPv6 address
        parts = urlsplit(address)
        named = re.fullmatch(r"[\w.:-]+", parts.hostname or "") and parts.port != 0
        if named and parts.scheme in ("http", "https"):
            return
    raise HubError(
        f"The address of the hub, {address!r}, is not a web address: set HF_ENDPOINT to one such "
        "as https://huggingface.co, or unset it."
    )


def _asked(job: Job, endpoint: str | None) -> Job | None:
    """The job with what the hub says about the file; None: an optional file that it lacks."""
    import huggingface_hub as hub

    try:
        metadata = transfer.patiently(lambda: hub.get_hf_file_metadata(job.url))
    except Exception as error:  # requests', httpx' or the system's, by the library's version
        return _unanswered(job, error)
    if not metadata.commit_hash:
        raise HubError(
            f"{job.url} is not a Hugging Face hub (no commit in the answer): check HF_ENDPOINT, or "
            f"{_by_hand(job)}"
        )
    commit = metadata.commit_hash  # the download is of the version whose hash is known
    url = hub.hf_hub_url(job.model.repo, str(job.file), revision=commit, endpoint=endpoint)
    etag = (metadata.etag or "").removeprefix("W/").strip('"').lower()
    job = replace(job, url=url, size=metadata.size, etag=etag, commit=commit)
    if job.target.is_file() and job.size in (None, job.target.stat().st_size):
        return replace(job, done=True)
    have = job.part.stat().st_size if job.part.is_file() else 0
    return replace(job, have=have if job.size is None or have <= job.size else 0)


def _unanswered(job: Job, error: Exception) -> Job | None:
    """What is left to do where the hub has no metadata of a file."""
    from huggingface_hub.errors import EntryNotFoundError

    if job.file.name == OPTIONAL and isinstance(error, EntryNotFoundError):
        logger.info("%s has no %s: not needed.", job.model.repo, job.file)
        return None
    if job.target.is_file() and transfer.status_of(error) is None:
        logger.warning("%s exists, but could not be verified: the hub did not answer.", job.target)
        return replace(job, size=job.target.stat().st_size, done=True)
    raise _explain(error, job) from error


def _compared(job: Job) -> Job:
    """The job, where a file with other contents than the hub's counts as not there."""
    if not job.done or job.hash is None or _hash(job.target, job.hash) == job.hash:
        return job
    logger.warning("%s differs from the file on the hub: downloading it again.", job.target)
    return replace(job, done=False)


def _get(job: Job, on_bytes: Callable[[int], object]) -> None:
    """Download one file, check it, put it in its place."""
    busy = HubError(f"Another process is downloading {job.target}: wait for it, or stop it.")
    try:
        with new_folder(job.target.parent), locked(job.target, busy):
            for stale in job.target.parent.glob(f".{job.target.name}.*.part"):
                if stale != job.part or (job.size is not None and stale.stat().st_size > job.size):
                    stale.unlink()  # another version
            resumed = _from_cache(job) or job.part.exists()
            problem = _complete(job, on_bytes)
            if problem is not None and resumed:
                text = "%s: the partial download %s; starting again."
                logger.warning(text, job.target.name, problem)
                job.part.unlink()
                problem = _complete(job, on_bytes)
            if problem is None:
                job.part.replace(job.target)
                return
            job.part.unlink()
    except HubError:
        raise
    except Exception as error:
        raise _explain(error, job) from error
    raise HubError(
        f"{job.target.name} was not downloaded correctly: it {problem}. It was deleted: run the "
        f"command again, or {_by_hand(job)}"
    )


def _from_cache(job: Job) -> bool:
    """Take the file from huggingface_hub's own cache (HF_HOME), if it lies there."""
    import huggingface_hub as hub

    found = hub.try_to_load_from_cache(job.model.repo, str(job.file), revision=job.commit)
    if not isinstance(found, str):
        return False
    logger.info("%s: copied from huggingface_hub's cache", job.target.name)
    shutil.copyfile(found, job.part)
    return True


def _complete(job: Job, on_bytes: Callable[[int], object]) -> str | None:
    """Download the rest of a partial file; returns how it differs from what the hub said."""
    from huggingface_hub.utils import build_hf_headers

    retries = RETRIES
    with job.part.open("ab") as file:
        while (have := file.tell()) != job.size:
            if have:
                logger.info("%s: continuing after %s bytes", job.target.name, f"{have:,}")
            try:
                for offset, chunk in transfer.chunks(job.url, build_hf_headers(), have):
                    if offset < file.tell():  # the server cannot resume
                        file.truncate(offset)
                    file.write(chunk)
                    on_bytes(len(chunk))
                break
            except transfer.ConnectionLostError:
                retries = RETRIES if file.tell() > have else retries - 1
                if retries < 0:
                    raise
                time.sleep(PAUSE)
        file.flush()
        os.fsync(file.fileno())
    size = job.part.stat().st_size
    if job.size is not None and size != job.size:
        return f"has {size:,} bytes, the hub says {job.size:,}"
    found = job.hash and _hash(job.part, job.hash)
    if found and found != job.hash:
        return f"has the hash {found[:12]}…, the hub says {job.etag[:12]}…"
    return None


def _hash(path: Path, kind: str) -> str:
    """The hash of a file, of the same kind as another: sha256 of large files, git's of small."""
    if len(kind) == 64:
        digest: Any = hashlib.sha256()
    else:
        digest = hashlib.sha1(b"blob %d\0" % path.stat().st_size, usedforsecurity=False)
    with path.open("rb") as file:
        while chunk := file.read(transfer.CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def _check_room(jobs: list[Job]) -> None:
    """Raise before the first byte where the disk has too little space."""
    missing = sum(job.missing for job in jobs)
    if not missing:
        return
    folder = next(p for p in jobs[0].target.parents if p.is_dir())
    free = shutil.disk_usage(folder).free
    if free < missing + min(SPARE, missing):
        raise HubError(
            f"{jobs[0].model.name} needs {missing / 1e9:.2f} GB more, but {folder.absolute()} has "
            f"{free / 1e9:.2f} GB free: free some space, or choose another folder with --dir."
        )


def _by_hand(job: Job) -> str:
    """How to download the file in a browser."""
    return (
        f"download {job.file} of {job.model.page} in a browser and put it into "
        f"{job.target.parent} as {job.target.name}."
    )


def _explain(error: Exception, job: Job) -> HubError:
    """An error that says what happened to a file and what to do."""
    from huggingface_hub import errors

    status, name, page = transfer.status_of(error), job.file, job.model.page
    if isinstance(error, errors.OfflineModeIsEnabled):
        text = (
            f"HF_HUB_OFFLINE is set, so {name} cannot be downloaded: unset it, or {_by_hand(job)}"
        )
    elif isinstance(error, errors.GatedRepoError) or status in (401, 403):
        text = (
            f"{page} refuses access to {name} (it is gated, or does not exist): log in and "
            "accept its terms there, run `hf auth login` and the command again; or "
            f"{_by_hand(job)}"
        )
    elif status == 404:
        text = f"There is no {name} at {page}: it may have been renamed. Update this pack."
    elif seconds := transfer.retry_after(error):
        text = (
            f"The hub is busy (it answered {status} for {name}): run the command again in "
            f"{max(1, round(seconds / 60))} min, which continues the download."
        )
    elif isinstance(error, transfer.TooSlowError):
        text = (
            f"{name} arrives too slowly ({error}): run the command again later or over another "
            f"connection, which continues the download; or {_by_hand(job)}"
        )
    elif getattr(error, "errno", None) == errno.ENOSPC:
        text = (
            f"The disk is full: {job.target.parent.absolute()} cannot hold {name}. Free "
            "some space and run the command again: it continues the download."
        )
    elif isinstance(error, OSError) and error.errno and not status:
        text = (
            f"{job.target} cannot be written ({error.strerror}): choose another folder with --dir."
        )
    else:
        reason = f"the hub answered {status}" if status else f"{type(error).__name__}: {error}"
        reason = str(error) if isinstance(error, transfer.ConnectionLostError) else reason
        text = (
            f"{name} of {page} could not be downloaded ({reason[:160]}). Check the connection and "
            f"run the command again, which continues the download; or {_by_hand(job)}"
        )
    return HubError(text)
