"""AUDIO, IMAGE and VIDEO <-> what the core reads.

A VIDEO that lies in a file is read by time from there, and never decoded whole; one that was made
or edited in the graph is taken as its frames.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from io import BytesIO
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

from comfy_api.latest import InputImpl
from torch import Tensor

from ...audiox_core.errors import SettingsError
from ...audiox_core.media.audio import read_audio, resample
from ...audiox_core.media.batch import check_images, pick_frames, to_pixels
from ...audiox_core.media.mux import VIDEO_SUFFIXES, mux_soundtrack
from ...audiox_core.media.video import FrameGrid, probe_video, read_grids
from .files import temporary_folder


@dataclass(frozen=True)
class Clip:
    """A picture that moves: how long it is, and how its frames and its sound are read."""

    seconds: float
    frames: Callable[..., list[Tensor]]  # (start, grids, end) -> of each `f 3 size size` uint8
    sound: Callable[[int], Tensor | None]  # sample rate -> `2 n`
    path: Path | None = None  # of an unedited file


def clip_of_images(images: Tensor, fps: float, audio: Mapping[str, Any] | None = None) -> Clip:
    """An IMAGE batch. Raises SettingsError without frames or their rate."""
    check_images(images)
    if not fps or fps <= 0:
        raise SettingsError(
            "Images have no frame rate of their own: set fps to the rate of the video they are "
            "(16 for Wan, 24 or 25 for most others)."
        )

    def frames(start: float, grids: Sequence[FrameGrid], end: float | None) -> list[Tensor]:
        return [
            pick_frames(
                images, fps, start=start, count=grid.count, rate=grid.fps, size=grid.size, end=end
            )
            for grid in grids
        ]

    def sound(rate: int) -> Tensor | None:
        return None if audio is None else waveform_of(audio, rate)

    return Clip(len(images) / float(fps), frames, sound)


def clip_of_video(video: Any) -> Clip:
    """A VIDEO, its pending trim honoured."""
    path = _file_of(video)
    if path is None:
        parts = video.get_components()
        return clip_of_images(parts.images, parts.frame_rate, parts.audio)
    begin, length = _trim(video)
    end = min(probe_video(path).seconds, begin + (length or float("inf")))

    def frames(start: float, grids: Sequence[FrameGrid], stop: float | None) -> list[Tensor]:
        stop = end if stop is None else min(end, begin + stop)
        return read_grids(path, grids, start=begin + start, end=stop)

    def sound(rate: int) -> Tensor | None:
        if not probe_video(path).has_audio:
            return None
        return read_audio(path, sample_rate=rate, start=begin, seconds=end - begin)

    return Clip(end - begin, frames, sound, path if not (begin or length) else None)


def _file_of(video: Any) -> Path | None:
    """The file behind a VIDEO; None where it was made or edited in the graph."""
    edited = getattr(video, "has_pending_frame_edits", None)
    if not isinstance(video, InputImpl.VideoFromFile) or (edited is not None and edited()):
        return None
    source = video.get_stream_source()
    if not isinstance(source, BytesIO):
        return Path(source)
    suffix = f".{video.get_container_format().split(',')[0]}"
    with NamedTemporaryFile(dir=temporary_folder(), suffix=suffix, delete=False) as file:
        file.write(source.getvalue())
    return Path(file.name)


def _trim(video: Any) -> tuple[float, float]:
    """Start and length in seconds of a VIDEO's pending trim; 0 is to the end."""
    window = getattr(video, "get_active_trim_window", None)
    return (0.0, 0.0) if window is None else tuple(map(float, window()))


def waveform_of(audio: Mapping[str, Any] | None, sample_rate: int) -> Tensor:
    """AUDIO of any rate and channels -> `2 n` float32; of a batch the first one."""
    if audio is None:
        raise SettingsError(
            "There is no sound: the video has no audio track. Connect another AUDIO, or leave the "
            "socket empty."
        )
    waveform = audio["waveform"]
    if waveform.ndim != 3 or not all(waveform.shape):
        raise SettingsError(
            f"The sound is {tuple(waveform.shape)}: expected (batch, channels, samples), none of "
            "them 0."
        )
    first = waveform[0].detach().cpu()
    if not first.is_floating_point():
        first = first.float() / 2 ** (8 * first.element_size() - 1)
    first = first.float()
    if not first.isfinite().all():
        raise SettingsError("The sound holds NaN or infinite samples: make it again.")
    stereo = first.expand(2, -1) if len(first) == 1 else first[:2]
    return resample(stereo.contiguous(), int(audio["sample_rate"]), sample_rate)


def audio_of(waveform: Tensor, sample_rate: int) -> dict[str, Any]:
    """Sound `b c n` -> AUDIO."""
    return {"waveform": waveform.detach().cpu().float().contiguous(), "sample_rate": sample_rate}


def with_sound(video: Any, clip: Clip, waveform: Tensor, sample_rate: int) -> tuple[Any, str]:
    """A VIDEO with this sound `2 n`, and what became of the picture."""
    if clip.path is not None:
        known = clip.path.suffix.lower() in VIDEO_SUFFIXES
        suffix = clip.path.suffix.lower() if known else ".mkv"
        with NamedTemporaryFile(dir=temporary_folder(), suffix=suffix, delete=False) as file:
            target = Path(file.name)
        mux_soundtrack(clip.path, waveform, sample_rate, target)
        return InputImpl.VideoFromFile(str(target)), "the picture is copied"
    parts = video.get_components()
    rate, sound = Fraction(parts.frame_rate), audio_of(waveform[None], sample_rate)
    made = replace(parts, audio=sound, frame_rate=rate)  # newer ones have alpha, too
    depth = getattr(video, "get_bit_depth", None)
    kept = {} if depth is None else {"bit_depth": depth()}
    return InputImpl.VideoFromComponents(made, **kept), "re-encoded when saved"


def first_image(images: Tensor) -> Tensor:
    """The first picture of an IMAGE batch -> `3 h w` in 0..255 float32."""
    check_images(images)
    return to_pixels(images[0]).float()
