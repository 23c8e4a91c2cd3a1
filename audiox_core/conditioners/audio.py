"""A sound or music prompt of ten seconds -> 215 tokens: VAE latents, projected.

Parameter names follow the released checkpoint. Axes: `b` clips, `c` channels, `n` samples,
`t` latent frames, `d` width.
"""

from typing import Literal

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn.functional import pad

from ..models.oobleck import Oobleck
from .masking import Span, hide_samples, is_absent, replace_absent


class AudioConditioner(nn.Module):
    """Projects the latents of a prompt; a silent prompt counts as absent.

    `vae` is the prompt's own copy of the VAE, where a checkpoint's two copies differ; else None
    and the main one is handed in.
    """

    def __init__(self, channels: int, tokens: int, width: int, vae: Oobleck | None = None) -> None:
        super().__init__()
        self.empty_audio_feat = nn.Parameter(torch.empty(1, tokens, width))
        self.proj_out = nn.Linear(channels, width)
        self.vae = vae

    def forward(self, audio: Tensor, vae: Oobleck, noise: Tensor | None = None) -> Tensor:
        """Audio -> `b t d`.

        Args:
            audio: `b c n`; mono is doubled, of more than two channels the first two count.
            vae: encodes the prompt where the checkpoint brings no copy for it.
            noise: unit noise `b c t`: the latent is drawn, as in training; None: its mean.
        """
        stereo = audio.expand(-1, 2, -1) if audio.shape[1] == 1 else audio[:, :2]
        coder = self.vae or vae
        # one by one: ten seconds at full rate take gigabytes in the first layers
        posteriors = [coder.encode(item[None]) for item in stereo]
        mean = torch.cat([p.mean for p in posteriors])
        latent = mean if noise is None else mean + torch.cat([p.std for p in posteriors]) * noise
        tokens = self.proj_out(rearrange(latent, "b c t -> b t c"))
        return replace_absent(tokens, self.empty_audio_feat, is_absent(audio))


def encode_audio(
    conditioner: AudioConditioner, vae: Oobleck, waveform: Tensor, *,
    samples: int, sample_rate: int, hide: tuple[Span, ...] = (),
    align: Literal["start", "end"] = "start", noise: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """A prompt -> features `1 t d`.

    Args:
        conditioner, vae: of a checkpoint.
        waveform: `c n` at `sample_rate`; cut or filled with silence to `samples` (ten seconds).
        samples: length that the model was trained with.
        sample_rate: Hz, the model's.
        hide: seconds that the model shall not hear.
        align: "end" puts the silence before a short prompt, as the reference does.
        noise: as in `AudioConditioner`.
    """
    waveform = hide_samples(waveform[..., :samples], sample_rate, hide)
    missing = samples - waveform.shape[-1]
    waveform = pad(waveform, (missing, 0) if align == "end" else (0, missing))
    return conditioner(waveform[None].to(conditioner.proj_out.weight), vae, noise)
