"""Open and replace files: every reader and writer of `media` uses these functions.

Errors of reading become one line that says what is wrong with the file. Output is written to a
temporary file beside its target until it is complete.
"""

import errno
import logging
import os
import re
import uuid
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from fractions import Fraction
from io import FileIO, RawIOBase
from math import floor, isfinite
from pathlib import Path
from stat import S_ISDIR, S_ISREG
from typing import Any

import av.container
import av.error
import av.frame
import av.stream

from ..errors import MediaError, SettingsError, one_line

log = logging.getLogger(__name__)

# Errors of a decoder for a packet that it cannot decode; some pass on the error of a library
_DAMAGE = (av.error.InvalidDataError, av.error.ExternalError)

# FFmpeg's flag to invent missing presentation times; PyAV sets it, and with reordered frames in
# AVI what it invents is wrong.
_GENPTS = 0x1
_RIGHTLY_INVENTED = ("mpeg",)  # MPEG program streams: few packets have a time, their order gives it
_WRITE_BUFFER = 1 << 20  # bytes that PyAV hands over at a time
_TEMPORARY = re.compile(r"\.[0-9a-f]{32}")  # the name of a temporary file, without its suffix
_DECODING = ("avcodec_send_packet()", "avcodec_receive_frame()")  # PyAV's names for its steps


def exact(value: Fraction | float, name: str) -> Fraction:
    """The exact decimal number that a float was written as: 0.1 is 1/10.

    Raises:
        SettingsError: `value` is not a finite number.
    """
    if not isfinite(value):
        raise SettingsError(f"{name} is {value}: it must be a finite number.")
    return value if isinstance(value, Fraction) else Fraction(str(value))


def exact_piece(
    start: Fraction | float, seconds: Fraction | float | None
) -> tuple[Fraction, Fraction | None]:
    """Check the start and the length of a part of a file, both in seconds.

    Raises:
        SettingsError: `start` is negative or `seconds` is not positive.
    """
    if start < 0:
        raise SettingsError(f"start is {start} s: it must be 0 or more.")
    if seconds is not None and seconds <= 0:
        raise SettingsError(f"seconds is {seconds}: it must be above 0.")
    return exact(start, "start"), None if seconds is None else exact(seconds, "seconds")


@contextmanager
def open_media(path: Path) -> Iterator[av.container.InputContainer]:
    """Open a media file for reading; it is closed when the block ends.

    Raises:
        MediaError: missing, no regular file, empty, not media, or damaged; also when the block
            meets damage while it reads.
    """
    path = Path(path)
    _check_readable(path)
    name = str(path.absolute())  # a relative `a:b.mp4` would be taken for a protocol
    try:
        container = av.open(name, metadata_errors="replace")
    except (av.error.FFmpegError, OSError, ValueError) as error:
        raise MediaError(
            f"{path.name} is not a readable media file, or it is truncated ({_why(error)}). "
            "Choose a video, audio or image file, or export or download it again."
        ) from error
    try:
        with container:
            if container.format.name not in _RIGHTLY_INVENTED:
                container.flags &= ~_GENPTS
            contexts = [stream.codec_context for stream in container.streams]
            opening = tuple(f'avcodec_open2("{codec.name}"' for codec in contexts if codec)
            yield container
    except av.error.FFmpegError as error:
        decoding = error.filename in _DECODING or str(error.filename).startswith(opening)
        if error.filename not in (None, name) and not decoding:
            raise  # an error of another file: a writer within the block
        if isinstance(error, av.error.DecoderNotFoundError):
            raise MediaError(
                f"FFmpeg has no decoder for a stream of {path.name}. Export it with another codec, "
                "such as H.264 or AAC."
            ) from error
        raise MediaError(
            f"{path.name} is damaged ({_why(error)}). Export or download it again."
        ) from error


def time_base(timed: av.stream.Stream | av.frame.Frame) -> Fraction:
    """Seconds of one tick of a stream's or frame's times; every demuxer sets it."""
    return timed.time_base or Fraction(1, av.time_base)


def seek(container: av.container.InputContainer, stream: av.stream.Stream, time: Fraction) -> bool:
    """Go to the keyframe at or before `time`, in the container's own seconds.

    Returns:
        Whether the container can seek there; some land elsewhere all the same.
    """
    try:
        container.seek(floor(time / time_base(stream)), stream=stream)
    except av.error.FFmpegError:
        return False
    return True


def packets_of(
    container: av.container.InputContainer, streams: Any, name: str
) -> Iterator[av.Packet]:
    """The packets of some streams, from where the file stands.

    Args:
        container: an open file.
        streams: one stream of it, or several.
        name: of the file, for messages.

    Raises:
        MediaError: the file has streams that its header does not list, as damaged FLV files do.
    """
    try:
        yield from container.demux(streams)
    except IndexError as error:
        raise MediaError(
            f"{name} is damaged: its header does not list all streams. Export or download it again."
        ) from error


def decode_frames(packets: Iterable[av.Packet], name: str) -> Iterator[Any]:
    """Decode packets to frames; a damaged packet costs its own frames only, with a warning.

    Args:
        packets: of one stream.
        name: of the file, for the warning.

    Raises:
        FFmpegError: all packets are damaged.
    """
    decoded, damaged, reason, kind = False, 0, None, None
    for packet in packets:
        try:
            frames = packet.decode()
        except av.error.FFmpegError as error:
            if not isinstance(error, _DAMAGE) and error.filename not in _DECODING:
                raise
            damaged, reason, kind = damaged + 1, error, packet.stream.type
            continue
        for frame in frames:
            decoded = True
            yield frame
    if reason is not None and not decoded:
        raise reason
    if damaged:
        log.warning("%s: %d damaged %s packets were skipped", one_line(name), damaged, kind)


def check_output(path: Path) -> None:
    """Check that a file can be written to `path`, before anything is computed.

    Raises:
        MediaError: the folder is missing or cannot be written, or `path` is a folder.
    """
    path = Path(path)
    with _temporary(path) as temporary, temporary.open("xb"):
        pass


def check_outputs(paths: Iterable[Path], inputs: Iterable[str | Path | None]) -> None:
    """Check that files can be written, and that none of them is an input.

    Args:
        paths: of the files to write.
        inputs: paths of files that are read; None is no file.

    Raises:
        MediaError: as `check_output`.
        SettingsError: a file is an input.
    """
    given = [Path(path) for path in inputs if path is not None]
    for path in paths:
        check_output(path)
        if any(is_same_file(source, path) for source in given):
            raise SettingsError(
                f"{path} is an input and would be overwritten: choose another --output."
            )


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary path beside `path`; it replaces `path` if the block succeeds.

    If the block fails or is interrupted, nothing changes and no temporary file is left.

    Raises:
        MediaError: the folder or the disk does not let the file be written.
    """
    path = Path(path)
    with _temporary(path) as temporary:
        yield temporary
        with temporary.open("r+b") as file:
            os.fsync(file)  # some disks report only now that they are full
        temporary.replace(path)


@contextmanager
def open_output(
    path: Path | None, container_format: str, options: dict[str, str] | None = None
) -> Iterator[av.container.OutputContainer]:
    """Open a container for writing; it is finished if the block succeeds, else discarded.

    Args:
        path: of the file; None keeps nothing of what is written.
        container_format: FFmpeg's name of the format.
        options: of FFmpeg's muxer.

    Raises:
        OSError: not every byte could be written.
    """
    # A file of our own: PyAV would leave its descriptor open when it cannot write a header.
    with closing(_Output(None if path is None else Path(path))) as file:
        container = av.open(
            file, "w", format=container_format, options=options, buffer_size=_WRITE_BUFFER
        )
        try:
            yield container
            container.close()
            file.check()
        except BaseException:
            failure = file.error
            with suppress(Exception):  # the first error is the one to tell
                file.close()  # nothing more is written
            with suppress(Exception):
                container.close()
            if failure is not None:  # FFmpeg reports it in other words, if at all
                raise failure from None
            raise


def is_same_file(video: Path, output: Path) -> bool:
    """Whether two paths are the same file.

    Raises:
        MediaError: one of them cannot be accessed.
    """
    old, new = _status(video, "read"), _status(output, "written")
    return old is not None and new is not None and os.path.samestat(old, new)


class _Output:
    """The file that PyAV writes into; it writes all bytes, or keeps the error.

    FFmpeg treats bytes that a file object did not write as written, and some of its muxers ignore
    errors.
    """

    def __init__(self, path: Path | None) -> None:
        # FFmpeg reads the file again by its name, to bring the index to the front
        self.name = "" if path is None else str(path.absolute())
        self.error: BaseException | None = None
        self._raw = _Nothing() if path is None else _create(path)

    def write(self, data: bytes) -> int:
        rest = memoryview(data)
        try:
            while rest and self.error is None:
                written = self._raw.write(rest)
                if not written:
                    raise OSError(errno.EIO, os.strerror(errno.EIO))
                rest = rest[written:]
        except BaseException as error:  # an interrupt too: PyAV lets none through
            self.error = error
        return len(data) if self.error is None else -errno.EIO  # as FFmpeg's own files say it

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._raw.seek(offset, whence)

    def tell(self) -> int:
        return self._raw.tell()

    @property
    def closed(self) -> bool:
        return self._raw.closed

    def close(self) -> None:
        self._raw.close()

    def check(self) -> None:
        if self.error is not None:
            raise self.error


class _Nothing(RawIOBase):
    """A file that forgets what is written into it, but not where."""

    def __init__(self) -> None:
        self._at = self._end = 0

    def write(self, data: Any) -> int:
        self._at += len(data)
        self._end = max(self._end, self._at)
        return len(data)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._at = offset + (0, self._at, self._end)[whence]
        return self._at

    def tell(self) -> int:
        return self._at


def _create(path: Path) -> FileIO:
    return path.open("w+b", buffering=0)


def _status(path: Path, done: str) -> os.stat_result | None:
    """The status of `path`, with links followed; None if it does not exist.

    Up to Python 3.13, `Path.exists` raises other errors of the system.
    """
    try:
        return path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:
        raise MediaError(
            f"{path.name} cannot be {done}: {_why(error)}. Check its name and the permissions of "
            f"{path.parent}."
        ) from error


def _check_readable(path: Path) -> None:
    """Raise clear errors for common problems before FFmpeg reports them."""
    status = _status(path, "read")
    if status is None:
        raise MediaError(f"There is no file {path}. Check the name and the folder.")
    if S_ISDIR(status.st_mode):
        raise MediaError(f"{path.name} is a folder. Choose a file in it.")
    if not S_ISREG(status.st_mode):  # reading might never return
        raise MediaError(
            f"{path.name} is a pipe, device or socket. Save its content to a file first."
        )
    if status.st_size == 0:
        raise MediaError(f"{path.name} is empty (0 bytes). Export or download it again.")
    try:
        path.open("rb").close()
    except OSError as error:
        raise MediaError(
            f"{path.name} cannot be read: {_why(error)}. Check the permissions of {path}."
        ) from error


@contextmanager
def _temporary(path: Path) -> Iterator[Path]:
    """A free name beside `path` with the same suffix; the file is removed afterwards."""
    status = _status(path, "written")
    if status is not None and S_ISDIR(status.st_mode):
        raise MediaError(f"{path.name} is a folder. Choose the name of a file to write.")
    folder = _status(path.parent, "written")
    if folder is None or not S_ISDIR(folder.st_mode):
        raise MediaError(
            f"The folder {path.parent} does not exist, so {path.name} cannot be written. Create "
            "the folder or choose another one."
        )
    temporary = path.with_name(f".{uuid.uuid4().hex}{path.suffix}")
    try:
        yield temporary
    except OSError as error:
        raise MediaError(
            f"{path.name} cannot be written: {_why(error)}. "
            f"[[Choose another folder, or free|Free]] some space and check the permissions of "
            f"{path.parent}."
        ) from error
    except av.error.FFmpegError as error:
        raise MediaError(
            f"{path.name} cannot store this stream ({_why(error)}). Choose another suffix."
        ) from error
    finally:
        with suppress(OSError):  # a read-only disk raises here again
            temporary.unlink()


def remove_leftovers(folder: Path, before: float) -> None:
    """Remove the temporary files that a killed process left in a folder.

    Args:
        folder: of outputs.
        before: only files that were last written before this time, in seconds since the epoch.
    """
    for path in folder.glob(".*"):
        if _TEMPORARY.fullmatch(path.stem):
            with suppress(OSError):
                if path.stat().st_mtime < before:
                    path.unlink()


def _why(error: Exception) -> str:
    """The reason of an error, without its number and path."""
    return (getattr(error, "strerror", None) or str(error) or type(error).__name__).rstrip(".")
