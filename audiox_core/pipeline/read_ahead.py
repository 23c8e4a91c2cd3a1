"""The frames of a clip, read before they are needed: while another clip is sampled."""

from collections.abc import Sequence
from dataclasses import replace

from torch import Tensor

from ..config import AudioXConfig
from ..media.clip import Clip
from ..media.video import FrameGrid, frame_grids
from ..windows import plan

MOST_BYTES = 256 << 20  # of frames in memory; a window of ten seconds takes 8 to 45 MB


def read_ahead(
    clip: Clip, config: AudioXConfig, start: float, seconds: float, most_bytes: int = MOST_BYTES
) -> Clip:
    """A clip whose frames `encode_video` finds in memory; what does not fit is read later.

    Args:
        clip: to read.
        config: of the model.
        start: seconds into the clip.
        seconds: length that will be encoded.
        most_bytes: that the frames may take.

    Raises:
        MediaError: the clip cannot be read.
    """
    grids = frame_grids(config.video)
    kept: dict[tuple[float, float], list[Tensor]] = {}
    free = most_bytes
    for begin in plan(config.latent, seconds).start_seconds:
        if free <= 0:
            break
        span = start + begin, start + seconds
        kept[span] = clip.frames(*span, grids)
        free -= sum(frames.nbytes for frames in kept[span])

    def frames(begin: float, end: float | None, wanted: Sequence[FrameGrid]) -> list[Tensor]:
        found = None if end is None or [*wanted] != [*grids] else kept.pop((begin, end), None)
        return clip.frames(begin, end, wanted) if found is None else found

    return replace(clip, frames=frames)
