"""Opening what exists and replacing it whole: every reader and writer of `media` goes through here.

A reader's errors become one line that says what is wrong with the file. A writer's work lies in
a temporary file beside the output until it is complete.
"""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from fractions import Fraction
from math import isfinite
from pathlib import Path

import av

from ..errors import MediaError, SettingsError

# FFmpeg's flag to invent missing presentation times; PyAV sets it, and with reordered frames in
# AVI what it invents is wrong.
_GENPTS = 0x1
_WRITE_BUFFER = 1 << 20  # bytes that PyAV hands over at a time


def exact(value: float, name: str) -> Fraction:
    """The number as a user writes it: 0.1 is 1/10, not the nearest float to it.

    Raises:
        SettingsError: `value` is no finite number.
    """
    if not isfinite(value):
        raise SettingsError(f"{name} is {value}: give a finite number of seconds or frames.")
    return value if isinstance(value, Fraction) else Fraction(str(value))


def exact_piece(start: float, seconds: float | None) -> tuple[Fraction, Fraction | None]:
    """Start and length of a piece of a file, checked, both in seconds.

    Raises:
        SettingsError: `start` is negative or `seconds` is not positive.
    """
    if start < 0:
        raise SettingsError(f"start is {start} s: a piece starts at 0 or later.")
    if seconds is not None and seconds <= 0:
        raise SettingsError(f"seconds is {seconds}: a piece lasts longer than 0 seconds.")
    return exact(start, "start"), None if seconds is None else exact(seconds, "seconds")


@contextmanager
def open_media(path: Path) -> Iterator[av.container.InputContainer]:
    """Open a media file to read; it is closed when the block ends, however it ends.

    Raises:
        MediaError: missing, a folder, empty, not media, or damaged; also when the block meets
            damage while it reads.
    """
    path = Path(path)
    _check_readable(path)
    name = str(path.absolute())  # a relative `a:b.mp4` would be taken for a protocol
    try:
        container = av.open(name, metadata_errors="replace")
    except (av.FFmpegError, OSError, ValueError) as error:
        raise MediaError(
            f"{path.name} is not a media file that can be read, or it is cut off ({_why(error)}). "
            "Choose a video, audio or picture file, or export or download it again."
        ) from error
    try:
        with container:
            container.flags &= ~_GENPTS
            yield container
    except av.FFmpegError as error:
        decoding = isinstance(error, av.error.InvalidDataError)  # names FFmpeg's function, no file
        if error.filename not in (None, name) and not decoding:
            raise  # another file's trouble: a writer within the block
        raise MediaError(
            f"{path.name} is damaged ({_why(error)}). Export or download it again."
        ) from error


def check_output(path: Path) -> None:
    """See to it, before minutes of computing, that a file can be made at `path`.

    Raises:
        MediaError: the folder is missing or cannot be written, or `path` is a folder.
    """
    path = Path(path)
    with _temporary(path) as temporary, temporary.open("xb"):
        pass


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary path beside `path`; it takes the place of `path` if the block succeeds.

    Whatever ends the block early, an interrupt too, leaves neither a part nor a change behind.

    Raises:
        MediaError: the folder or the disk does not let the file be written.
    """
    path = Path(path)
    with _temporary(path) as temporary:
        yield temporary
        temporary.replace(path)


@contextmanager
def open_output(
    path: Path, container_format: str, options: dict[str, str] | None = None
) -> Iterator[av.container.OutputContainer]:
    """Open a container to write; it is finished if the block succeeds, dropped if it fails."""
    # A file of our own: PyAV would leave its descriptor open when it cannot write a header.
    with Path(path).open("w+b", buffering=0) as file:
        container = av.open(
            file, "w", format=container_format, options=options, buffer_size=_WRITE_BUFFER
        )
        try:
            yield container
        except BaseException:
            file.close()  # nothing more is written
            with suppress(Exception):  # the first error is the one to tell
                container.close()
            raise
        container.close()


def _check_readable(path: Path) -> None:
    """Name the plain troubles before FFmpeg gives them its own words."""
    try:
        size = path.stat().st_size
    except FileNotFoundError:
        raise MediaError(f"There is no file {path}. Check the name and the folder.") from None
    except OSError as error:
        raise MediaError(f"{path} cannot be read: {_why(error)}.") from error
    if path.is_dir():
        raise MediaError(f"{path} is a folder. Choose a file in it.")
    if path.is_file() and size == 0:
        raise MediaError(f"{path.name} is empty (0 bytes). Export or download it again.")


@contextmanager
def _temporary(path: Path) -> Iterator[Path]:
    """A free name beside `path`, of the same suffix; whatever lies there is gone afterwards."""
    if path.is_dir():
        raise MediaError(f"{path} is a folder. Give the name of a file to write.")
    if not path.parent.is_dir():
        raise MediaError(
            f"The folder {path.parent} does not exist, so {path.name} cannot be written. "
            "Make the folder or choose another one."
        )
    temporary = path.with_name(f".{uuid.uuid4().hex}{path.suffix}")
    try:
        yield temporary
    except OSError as error:
        raise MediaError(
            f"{path} cannot be written: {_why(error)}. "
            "Choose another folder, or make room and check its permissions."
        ) from error
    except av.FFmpegError as error:
        raise MediaError(
            f"{path.name} cannot hold what is to be written ({_why(error)}). Choose another suffix."
        ) from error
    finally:
        with suppress(FileNotFoundError):
            temporary.unlink()


def _why(error: Exception) -> str:
    """The reason alone, without the number and the path that the system puts around it."""
    return (getattr(error, "strerror", None) or str(error) or type(error).__name__).rstrip(".")
