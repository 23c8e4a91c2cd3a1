"""Downloads by explicit request, resumed between runs and checked by their hashes.

huggingface_hub resolves names, tokens, mirrors (HF_ENDPOINT), offline mode (HF_HUB_OFFLINE) and its
cache (HF_HOME), reconnects and compares lengths. From version 2 on it restarts a file in every new
process, and it never compares contents. So partial files between runs, the check against the hub's
hash and the check of the free space are here.
"""

import errno
import hashlib
import logging
import os
import re
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

from ..locks import locked
from .models import LICENCE, MODELS, OPTIONAL, HubError, HubModel

logger = logging.getLogger(__name__)

SPARE = 64 << 20  # bytes of a disk that a download leaves free
_CHUNK = 1 << 22  # bytes
_SHA256, _GIT = re.compile(r"[0-9a-f]{64}"), re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True)
class Job:
    """One file to download: what the hub says about it, and how much of it is here."""

    model: HubModel
    file: PurePosixPath  # in the repository
    target: Path
    url: str
    size: int | None = None  # bytes; None: the hub does not say, or was not asked
    etag: str = ""  # the content's sha256, or git's hash of it
    commit: str = ""
    have: int = 0  # bytes of an interrupted download
    done: bool = False  # the target exists with this size

    @property
    def part(self) -> Path:
        """The partial download; its name contains the version, so that versions never mix."""
        return self.target.with_name(f".{self.target.name}.{self.etag[:16]}.part")

    @property
    def missing(self) -> int:
        """Bytes that are still to download."""
        return 0 if self.done else (self.size or 0) - self.have


def plan(
    names: Sequence[str], folder: Path, *, endpoint: str | None = None, ask: bool = True
) -> list[Job]:
    """What is to download for some models; asks the hub for versions and sizes.

    Args:
        names: of `MODELS`.
        folder: the `models` folder.
        endpoint: of the hub; None is HF_ENDPOINT or huggingface.co.
        ask: False does not ask the hub: sizes stay unknown.

    Raises:
        HubError: unknown model; offline, no such file, no permission.
    """
    if unknown := next((name for name in names if name not in MODELS), None):
        raise HubError(f"Unknown model {unknown!r}: choose one of {', '.join(MODELS)}.")
    pairs = ((MODELS[name], file) for name in names for file in MODELS[name].files)
    jobs = [_job(model, file, Path(folder), endpoint, ask) for model, file in pairs]
    return [job for job in jobs if job is not None]


def fetch(
    names: Sequence[str],
    folder: Path,
    *,
    endpoint: str | None = None,
    on_job: Callable[[Job], None] | None = None,
) -> list[Path]:
    """Download models into `folder`; complete files are not downloaded again.

    The next run continues an interrupted download. A file gets its final name when it is complete
    and its hash was compared.

    Args:
        names, folder, endpoint: as in `plan`.
        on_job: called with each file before its download.

    Returns:
        The files' paths.

    Raises:
        HubError: offline, no such file, no permission, no space, or a wrong hash.
    """
    jobs = plan(names, folder, endpoint=endpoint)
    if any(job.model.non_commercial for job in jobs):
        logger.warning("%s", LICENCE)
    jobs = [_verified(job) for job in jobs]
    _check_room(jobs)
    for job in jobs:
        if on_job is not None:
            on_job(job)
        if not job.done:
            _get(job)
    return [job.target for job in jobs]


def _job(
    model: HubModel, file: PurePosixPath, folder: Path, endpoint: str | None, ask: bool
) -> Job | None:
    import huggingface_hub as hub  # takes a while, and most commands never download

    url = hub.hf_hub_url(model.repo, str(file), endpoint=endpoint)
    job = Job(model, file, folder / model.folder / file.name, url)
    if not ask:
        return job
    try:
        metadata = hub.get_hf_file_metadata(url)
    except Exception as error:  # requests', httpx' or the system's, by the library's version
        return _unanswered(job, error)
    if not metadata.etag or not metadata.commit_hash:
        raise HubError(
            f"{url} is not a Hugging Face hub (no ETag or commit in the answer): check "
            f"HF_ENDPOINT, or {_by_hand(job)}"
        )
    commit = metadata.commit_hash  # the download is of the version whose hash is known
    url = hub.hf_hub_url(model.repo, str(file), revision=commit, endpoint=endpoint)
    return _with_local(
        replace(job, url=url, size=metadata.size, etag=metadata.etag, commit=metadata.commit_hash)
    )


def _unanswered(job: Job, error: Exception) -> Job | None:
    """What is left to do where the hub has no metadata of a file."""
    from huggingface_hub.errors import EntryNotFoundError

    if job.file.name == OPTIONAL and isinstance(error, EntryNotFoundError):
        logger.info("%s has no %s: not needed.", job.model.repo, job.file)
        return None
    answered = getattr(error, "response", None) is not None  # the hub was reached and said no
    if job.target.is_file() and not answered:
        logger.warning("%s exists, but could not be verified: the hub did not answer.", job.target)
        return replace(job, size=job.target.stat().st_size, done=True)
    raise _explain(error, job) from error


def _with_local(job: Job) -> Job:
    """The job with what is already here of its file."""
    if job.target.is_file() and job.size in (None, job.target.stat().st_size):
        return replace(job, done=True)
    have = job.part.stat().st_size if job.part.is_file() else 0
    return replace(job, have=have if job.size is None or have <= job.size else 0)


def _verified(job: Job) -> Job:
    """The job, where a file with other contents than the hub's counts as not there."""
    if not job.done or _hash(job.target, job.etag) in (None, job.etag):
        return job
    logger.warning("%s differs from the file on the hub: downloading it again.", job.target)
    return replace(job, done=False)


def _get(job: Job) -> None:
    """Download one file, check it, put it in its place."""
    busy = HubError(f"Another process is downloading {job.target}: wait for it, or stop it.")
    try:
        job.target.parent.mkdir(parents=True, exist_ok=True)
        with locked(job.target, busy):
            _forget_other_versions(job)
            if _from_cache(job) or job.have:
                _complete(job)
                if (problem := _problem(job)) is not None:
                    logger.warning(
                        "%s: the partial download %s; starting again.", job.target.name, problem
                    )
                    job.part.unlink()
            _complete(job)
            _finish(job)
    except OSError as error:
        raise _explain(error, job) from error


def _forget_other_versions(job: Job) -> None:
    for stale in job.target.parent.glob(f".{job.target.name}.*.part"):
        if stale != job.part or (job.size is not None and stale.stat().st_size > job.size):
            stale.unlink()


def _from_cache(job: Job) -> bool:
    """Take the file from huggingface_hub's own cache (HF_HOME), if it lies there."""
    import huggingface_hub as hub

    found = hub.try_to_load_from_cache(job.model.repo, str(job.file), revision=job.commit)
    if not isinstance(found, str):
        return False
    logger.info("%s: copied from huggingface_hub's cache", job.target.name)
    shutil.copyfile(found, job.part)
    return True


def _complete(job: Job) -> None:
    """Download the rest of a partial file."""
    from huggingface_hub.file_download import http_get
    from huggingface_hub.utils import build_hf_headers

    try:
        with job.part.open("ab") as file:
            have = file.tell()
            if have and have != job.size:
                logger.info("%s: continuing after %s bytes", job.target.name, f"{have:,}")
            http_get(
                job.url,
                file,
                resume_size=have,
                headers=build_hf_headers(),
                expected_size=job.size,
                displayed_filename=job.target.name,
            )
            file.flush()
            os.fsync(file.fileno())
    except Exception as error:  # requests', httpx' or the system's, by the library's version
        raise _explain(error, job) from error


def _finish(job: Job) -> None:
    """Give a complete download its final name; delete one that differs from the hub's file."""
    problem = _problem(job)
    if problem is None:
        job.part.replace(job.target)
        return
    job.part.unlink()
    raise HubError(
        f"{job.target.name} was not downloaded correctly: it {problem}. It was deleted: run the "
        f"command again, or {_by_hand(job)}"
    )


def _problem(job: Job) -> str | None:
    """How length and contents differ from what the hub said, if they do."""
    size = job.part.stat().st_size
    if job.size is not None and size != job.size:
        return f"has {size:,} bytes, the hub says {job.size:,}"
    found = _hash(job.part, job.etag)
    if found not in (None, job.etag):
        return f"has the hash {found[:12]}…, the hub says {job.etag[:12]}…"
    return None


def _hash(path: Path, etag: str) -> str | None:
    """The hash of the kind of `etag`: sha256 of large files, git's of small; None: another kind."""
    if _SHA256.fullmatch(etag):
        digest: Any = hashlib.sha256()
    elif _GIT.fullmatch(etag):
        digest = hashlib.sha1(b"blob %d\0" % path.stat().st_size, usedforsecurity=False)
    else:
        return None
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
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

    status = getattr(getattr(error, "response", None), "status_code", None)
    name, page = job.file, job.model.page
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
        text = (
            f"{name} of {page} could not be downloaded ({reason[:160]}). Check the connection and "
            f"run the command again, which continues the download; or {_by_hand(job)}"
        )
    return HubError(text)
