"""Mix a generated sound with the original sound of a video. `c` channels (1 or 2), `n` samples."""

from torch import Tensor
from torch.nn.functional import pad

from ..errors import SettingsError, check_number
from ..limits import MAX_GAIN_DB
from .audio import check_waveform
from .ducking import Ducking


def mix(
    made: Tensor,
    original: Tensor | None,
    sample_rate: int,
    *,
    gain_db: float = 0.0,
    original_db: float = 0.0,
    duck_db: float = 0.0,
) -> Tensor:
    """Mix a generated sound with another one; the result is as long as the generated one.

    Args:
        made: the generated sound, `c n`.
        original: `c n` at the same rate, cut or padded with silence; None if there is none.
        sample_rate: Hz.
        gain_db: gain of the generated sound.
        original_db: gain of the original sound.
        duck_db: by how much the original is lowered while the generated sound is loud.

    Returns:
        `2 n`.

    Raises:
        SettingsError: a waveform of another shape, or one that is not finite.
    """
    for name, gain in (("gain", gain_db), ("original", original_db)):
        check_number(name, gain, -MAX_GAIN_DB, MAX_GAIN_DB, unit=" dB")
    ducking = Ducking(duck_db)
    ducking.check()
    made = _stereo(made)
    made = made * 10 ** (gain_db / 20) if gain_db else made  # no copy of a long sound
    if original is None:
        return made
    length = made.shape[-1]
    original = _stereo(original)[:, :length]
    original = pad(original, (0, length - original.shape[-1]))
    depth = original_db + ducking.gain_db(made, sample_rate)
    return made + original * 10 ** (depth / 20)


def place(waveform: Tensor, sample_rate: int, start: float, seconds: float) -> Tensor:
    """Put a sound at a time of a longer one: silence around it, cut at the end.

    Args:
        waveform: `c n`.
        sample_rate: Hz.
        start: second at which the sound begins.
        seconds: length of the result.

    Returns:
        `c m`, with `m = round(seconds * sample_rate)`.

    Raises:
        SettingsError: `start` is not a number from 0 to below `seconds`.
    """
    if not 0 <= start < seconds:
        raise SettingsError(
            f"start is {start:g} s, but the video lasts {seconds:.2f} s: the sound must start "
            "within it."
        )
    length, before = round(seconds * sample_rate), round(start * sample_rate)
    waveform = waveform[:, : length - before]
    after = length - before - waveform.shape[-1]
    return pad(waveform, (before, after)) if before or after else waveform


def _stereo(waveform: Tensor) -> Tensor:
    check_waveform(waveform, (1, 2))
    return waveform.float().expand(2, -1)
