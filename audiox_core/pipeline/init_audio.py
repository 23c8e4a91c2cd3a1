"""Existing audio to start from: to vary it, to inpaint it or to continue it.

Axes: `c` channels, `t` latent frames, `n` audio samples.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import pad

from ..conditioners.inputs import Span, check_spans
from ..config import LatentConfig
from ..diffusion.inpaint import soft_mask
from ..errors import SettingsError, check_number
from ..limits import FEATHER_SECONDS, MAX_SECONDS, check_seconds
from ..media.crossfade import paste_back
from ..windows import Plan, plan

SHORTEST_CROSSFADE = 0.02  # seconds, also where the mask has no ramp: a cut would be a click
TAIL_SECONDS = 10.0  # that the models were trained to continue from


@dataclass(frozen=True)
class InitAudio:
    """Existing audio, cut or padded to the length of the result, and the spans to generate."""

    waveform: Tensor  # `2 n` at the model's rate, all samples of the result
    spans: tuple[Span, ...]  # seconds that are generated, in order and apart from one another;
    # empty for a variation of all of it
    feather: float = FEATHER_SECONDS

    @property
    def crossfade(self) -> float:
        """Seconds of the crossfade at each end of a span, inside of it."""
        return max(self.feather, SHORTEST_CROSSFADE)

    def encode(
        self, latent_format: LatentConfig, encode: Callable[[Tensor], Tensor]
    ) -> tuple[Tensor, Tensor | None]:
        """Encode the audio and make its noise mask.

        Args:
            latent_format: of the model.
            encode: the VAE, audio `1 2 n` -> latent `1 c t`.

        Returns:
            The latent `1 c t` and the mask `t` in 0..1, where 1 is generated; None without spans.
        """
        seconds = self.waveform.shape[-1] / latent_format.sample_rate
        layout = plan(latent_format, seconds)
        samples = layout.frames * latent_format.hop_length
        latent = encode(pad(self.waveform, (0, samples - self.waveform.shape[-1]))[None])
        if not self.spans:
            return latent, None
        return latent, noise_mask(latent_format, layout, self.spans, seconds, self.feather)

    def paste(self, generated: Tensor, latent_format: LatentConfig) -> Tensor:
        """Put the known samples back outside of the generated spans, with a crossfade inside.

        Args:
            generated: the decoded sound, `2 n`; samples beyond the known sound pass unchanged.
            latent_format: of the model.
        """
        length = min(self.waveform.shape[-1], generated.shape[-1])
        spans = [(latent_format.samples(a), latent_format.samples(b)) for a, b in self.spans]
        fade = latent_format.samples(self.crossfade)
        pasted = paste_back(generated[:, :length], self.waveform[:, :length], spans, fade)
        return torch.cat([pasted, generated[:, length:]], dim=-1)


def init_audio(
    known: Tensor,
    latent_format: LatentConfig,
    spans: Sequence[Span],
    seconds: float,
    *,
    start: float = 0.0,
    feather: float = FEATHER_SECONDS,
) -> InitAudio:
    """Cut or pad existing audio to the length of the result.

    A span that continues the audio begins a crossfade earlier, so that the crossfade lies in the
    audio and not in the silence after it; likewise a span that ends where the audio begins.

    Args:
        known: `2 n` at the model's rate.
        latent_format: of the model.
        spans: seconds of the result that are generated; empty for a variation of all of it.
        seconds: length of the result.
        start: of the existing audio in the result, seconds.
        feather: seconds of the crossfade inside each end of a generated span, in which the noise
            mask rises or falls. Where the audio is continued, at most a quarter of its length.

    Raises:
        SettingsError: the length is out of range, a span is not valid or starts after the end, or
            the audio has samples that are no numbers.
    """
    check_seconds(seconds)
    check_regenerated(spans, seconds)
    if not known.isfinite().all():
        raise SettingsError("The existing audio has NaN or infinite samples: export it again.")
    begin, end = latent_format.samples(start), latent_format.samples(seconds)
    waveform = pad(known, (begin, max(0, end - begin - known.shape[-1])))[:, :end]
    check_number("feather", feather, 0, MAX_SECONDS, unit=" s")
    length = known.shape[-1] / latent_format.sample_rate
    fade = min(max(feather, SHORTEST_CROSSFADE), length / 4)  # at least half of the audio is kept
    if any(from_ < start or to > start + length for from_, to in spans):
        feather = min(feather, fade)  # else the crossfade would reach into the silence
    return InitAudio(waveform, _overlapping(spans, start, start + length, fade), feather)


def _overlapping(spans: Sequence[Span], first: float, last: float, fade: float) -> tuple[Span, ...]:
    """Move the ends of spans into the known audio, and join the spans that meet.

    Args:
        spans: generated seconds.
        first, last: seconds between which the known audio lies.
        fade: length of a crossfade, seconds.
    """
    joined: list[Span] = []
    for from_, to in sorted(spans):
        after = from_ <= last + fade and to > last  # the span continues the audio
        begin = min(from_, last - fade) if after else from_
        before = from_ < first and to >= first - fade
        end = max(to, first + fade) if before else to
        if joined and begin <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((begin, end))
    return tuple(joined)


def tail(waveform: Tensor, sample_rate: int) -> Tensor:
    """The last ten seconds of existing audio, `c n`: the audio prompt of what follows it.

    Args:
        waveform: `c n`.
        sample_rate: Hz.
    """
    return waveform[:, -round(TAIL_SECONDS * sample_rate) :]


def extend_audio(
    known: Tensor,
    latent_format: LatentConfig,
    regenerate: Sequence[Span] = (),
    *,
    before: float = 0.0,
    after: float = 0.0,
    feather: float = FEATHER_SECONDS,
) -> InitAudio:
    """Existing audio with seconds to generate inside of it, before it and after it.

    Args:
        known: `2 n` at the model's rate.
        latent_format: of the model.
        regenerate: seconds of `known` to generate again.
        before, after: seconds to add.
        feather: seconds of the crossfades, as in `init_audio`.

    Raises:
        SettingsError: a value out of range, or nothing to generate.
    """
    if not (before >= 0 and after >= 0):
        raise SettingsError(
            f"extend_before is {before:g} s and extend_after is {after:g} s: both must be 0 or "
            "more. To shorten audio, use TrimAudioDuration."
        )
    length = known.shape[-1] / latent_format.sample_rate
    check_regenerated(regenerate, length)
    spans = [(before + begin, before + min(end, length)) for begin, end in regenerate]
    seconds = before + length + after
    if before:
        spans.insert(0, (0.0, before))
    if after:
        spans.append((before + length, seconds))
    if not spans:
        raise SettingsError(
            "There is nothing to regenerate: set regenerate, for example to 2.0-4.5, or extend "
            "the audio."
        )
    return init_audio(known, latent_format, spans, seconds, start=before, feather=feather)


def noise_mask(
    latent_format: LatentConfig, layout: Plan, spans: Sequence[Span], seconds: float, feather: float
) -> Tensor:
    """The noise mask, `t` in 0..1: 1 in the spans to generate and after the end of the audio.

    Args:
        latent_format, layout: of the latent.
        spans: generated seconds.
        seconds: length of the sound.
        feather: seconds over which the mask rises and falls inside of a span; not at the ends of
            the sound.
    """
    check_number("feather", feather, 0, MAX_SECONDS, unit=" s")
    check_regenerated(spans, seconds)
    rate = latent_format.sample_rate / latent_format.hop_length
    masks = []
    for begin, end in spans:
        first, last = begin * rate, layout.frames if end >= seconds else end * rate
        ramp = min(feather * rate, (last - first) / 2)
        ramps = {"ramp_in": ramp if begin > 0 else 0, "ramp_out": ramp if end < seconds else 0}
        masks.append(soft_mask(layout.frames, first, last, **ramps))
    after = (torch.arange(layout.frames, dtype=torch.float32) >= seconds * rate).float()
    return torch.stack([*masks, after]).amax(dim=0)


def check_regenerated(spans: Sequence[Span], seconds: float) -> None:
    """Raise SettingsError if a span is not valid or starts after the end of the audio.

    Args:
        spans: seconds.
        seconds: length of the audio.
    """
    check_spans(spans)
    if late := [begin for begin, _ in spans if begin >= seconds]:
        raise SettingsError(
            f"The range to regenerate starts at {late[0]:g} s, but the audio ends at "
            f"{seconds:.2f} s. To continue the audio, [[pass a larger --seconds|set extend_after]]."
        )
