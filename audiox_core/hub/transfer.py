"""One file over HTTP, from any byte on: lost connections, busy and slow servers.

Plain urllib, whatever the version of huggingface_hub brings: a read returns what has arrived, so a
server that sends a byte now and then is noticed.
"""

import logging
import os
import ssl
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, wait
from contextlib import suppress
from email.utils import parsedate_to_datetime
from http.client import HTTPException
from threading import Thread
from time import monotonic, sleep, time
from typing import Any, TypeVar
from urllib.error import HTTPError

logger = logging.getLogger(__name__)

TIMEOUT = 10.0  # seconds without a byte until a connection counts as lost
SLOWEST, WINDOW = 1000, 30.0  # bytes a second, over that many seconds: a slower server is given up
BUSY = (429, 503)  # answers that ask to come back later
WAIT, LONGEST_WAIT, WAITS = 5.0, 120.0, 5  # seconds: where the answer does not say, at most; times
DAY = 86_400.0  # seconds
CHUNK = 1 << 20  # bytes

T = TypeVar("T")


class ConnectionLostError(Exception):
    """The server cannot be reached, or it stopped before the end of a file."""


class TooSlowError(Exception):
    """The server sends less than `SLOWEST` bytes a second."""


def chunks(url: str, headers: Mapping[str, str], start: int) -> Iterator[tuple[int, bytes]]:
    """Pieces of a file as they arrive, each with its offset.

    Args:
        url: of the file.
        headers: for its server; one that it redirects to does not get them.
        start: first byte; a server that cannot resume begins at 0 all the same.

    Raises:
        ConnectionLostError: before the end of the file.
        HTTPError: the server refuses.
        TooSlowError: the server is too slow.
    """
    request = urllib.request.Request(url)
    for name, value in headers.items():
        request.add_unredirected_header(name, value)
    if start:
        request.add_header("Range", f"bytes={start}-")
    try:
        with patiently(lambda: _open(request)) as answer:
            at = start if answer.status == 206 else 0
            since, received = monotonic(), 0
            while chunk := answer.read1(CHUNK):
                yield at, chunk
                at, received = at + len(chunk), received + len(chunk)
                if (seconds := monotonic() - since) > WINDOW:
                    if received < seconds * SLOWEST:
                        raise TooSlowError(f"{received / seconds:.0f} bytes a second")
                    since, received = monotonic(), 0
            if answer.length:
                raise ConnectionLostError(f"it ended {answer.length:,} bytes too early")
    except HTTPError as error:
        if error.code != 416 or not start:
            raise
        yield from chunks(url, headers, 0)  # the file ends before `start`
    except (OSError, HTTPException) as error:
        raise ConnectionLostError(f"{type(error).__name__}: {error}") from error


def _open(request: urllib.request.Request) -> Any:
    tls = ssl.create_default_context()
    with suppress(ImportError):  # the system's certificates and those that requests and httpx use
        import certifi

        tls.load_verify_locations(certifi.where())
    if bundle := os.environ.get("REQUESTS_CA_BUNDLE"):  # of a company's proxy
        tls.load_verify_locations(bundle)
    return urllib.request.urlopen(request, timeout=TIMEOUT, context=tls)


def patiently(request: Callable[[], T]) -> T:
    """Make a request; where the server is busy, again after the time that it asks for."""
    for _ in range(WAITS):
        try:
            return _limited(request)
        except Exception as error:
            seconds = retry_after(error)
            if seconds is None or seconds > LONGEST_WAIT:
                raise
        logger.warning("The hub is busy: trying again in %.0f s.", seconds)
        sleep(seconds)
    return _limited(request)


def _limited(request: Callable[[], T]) -> T:
    """The answer to a request; the timeouts of sockets do not end one that comes in single bytes.

    Raises:
        ConnectionLostError: it takes longer than `WINDOW`.
    """
    answer: Future[T] = Future()

    def run() -> None:
        try:
            answer.set_result(request())
        except Exception as error:
            answer.set_exception(error)

    Thread(target=run, daemon=True).start()
    if not wait([answer], WINDOW).done:
        raise ConnectionLostError(f"no answer within {WINDOW:.0f} s")
    return answer.result()


def status_of(error: Exception) -> int | None:
    """The status of the answer behind an error; None: there was no answer."""
    response = getattr(error, "response", None)  # of huggingface_hub
    return error.code if isinstance(error, HTTPError) else getattr(response, "status_code", None)


def retry_after(error: Exception) -> float | None:
    """Seconds until a busy server wants to be asked again, at most a day; None: it is not busy."""
    if status_of(error) not in BUSY:
        return None
    answer = error if isinstance(error, HTTPError) else getattr(error, "response", None)
    text = getattr(answer, "headers", {}).get("Retry-After") or ""
    if text.isdecimal():
        return min(float(text), DAY)
    with suppress(ValueError, TypeError, OverflowError):  # a date
        return min(max(parsedate_to_datetime(text).timestamp() - time(), 0.0), DAY)
    return WAIT
