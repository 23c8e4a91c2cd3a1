"""An audio or music prompt of ten seconds -> tokens: VAE latents or a spectrogram, projected.

There are three kinds, one for each line of models. All have the same methods: `forward(audio, vae,
noise, hide)` encodes a prompt, `absent(open_vae)` gives the tokens of no prompt. Parameter names
follow the released checkpoints. Axes: `b` clips, `c` channels, `n` samples, `t` latent frames or
spectrogram columns, `f` mel filters, `d` width.
"""

from collections.abc import Callable, Sequence

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn.functional import pad

from ..config import AudioXConfig, LatentConfig, MelConfig
from ..models.oobleck import REACH, ChunkedOobleck, Oobleck
from .inputs import Span
from .masking import hide_samples, is_absent, replace_absent
from .mel import mel_filters

HIDDEN_MEL = 0.0  # of a masked column in training; not the log of silence, which is far below
SILENT_MEL = 1e-5


AnyVAE = Oobleck | ChunkedOobleck  # both encode audio `b 2 n`


class AudioConditioner(nn.Module):
    """AudioX v1: one token per latent; a silent prompt counts as absent.

    `vae` is the prompt's own copy of the VAE, where a checkpoint's two copies differ; else None
    and the main one is handed in.
    """

    def __init__(self, channels: int, tokens: int, width: int, vae: Oobleck | None = None) -> None:
        super().__init__()
        self.empty_audio_feat = nn.Parameter(torch.empty(1, tokens, width))
        self.proj_out = nn.Linear(channels, width)
        self.vae = vae

    def forward(
        self, audio: Tensor, vae: AnyVAE, noise: Tensor | None = None, hide: Sequence[Span] = ()
    ) -> Tensor:
        """Audio -> `b t d`.

        Args:
            audio: `b c n`; mono is duplicated; only the first two channels are used.
            vae: encodes the prompt where the checkpoint has no copy of the VAE for it.
            noise: unit noise `b c t` to draw the latent with, as in training; None takes the mean.
            hide: shares of the length, from and to, that are silenced.
        """
        audio = silenced(audio, hide)
        tokens = self.project(prompt_latents(self.vae or vae, audio, noise))
        return replace_absent(tokens, self.empty_audio_feat, is_absent(audio))

    def project(self, latent: Tensor) -> Tensor:
        """Latents `b c t` -> `b t d`."""
        return self.proj_out(rearrange(latent, "b c t -> b t c"))

    def absent(self, _open_vae: Callable[[], AnyVAE] | None = None) -> Tensor:
        """The tokens that the model learned for no prompt, `1 t d`."""
        return self.empty_audio_feat


class ProjectedAudioConditioner(nn.Module):
    """AudioX-MAF-MMDiT, Base and Turbo: the latents of the prompt mixed into fewer tokens.

    These models have no learned tokens for absence: they take the latents of silence. `vae` as in
    `AudioConditioner`.
    """

    def __init__(
        self, channels: int, latents: int, tokens: int, width: int, *, vae: Oobleck | None = None
    ) -> None:
        super().__init__()
        self.latents = latents
        self.proj_features_128 = nn.Linear(latents, tokens)
        self.proj_out = nn.Linear(channels, width)
        self.vae = vae

    def forward(
        self, audio: Tensor, vae: AnyVAE, noise: Tensor | None = None, hide: Sequence[Span] = ()
    ) -> Tensor:
        """As `AudioConditioner.forward`."""
        return self.project(prompt_latents(self.vae or vae, silenced(audio, hide), noise))

    def project(self, latent: Tensor) -> Tensor:
        """Latents `b c t` of exactly the trained count -> `b tokens d`."""
        return self.proj_out(rearrange(self.proj_features_128(latent), "b c t -> b t c"))

    def absent(self, open_vae: Callable[[], AnyVAE]) -> Tensor:
        """Ten seconds of silence, `1 tokens d`, encoded by `open_vae()` if there is no copy."""
        encoder = self.vae or open_vae()
        weight = self.proj_out.weight
        # Far from its ends the latent of silence is the same in every frame, so a short silence
        # is enough; ten seconds at full size would take minutes on a CPU.
        edge = 2 * REACH + 4
        frames = min(self.latents, 2 * edge + 1)
        silence = torch.zeros(1, 2, frames * encoder.config.hop_length, dtype=torch.float32)
        latent = encoder.encode(silence.to(next(encoder.parameters()).device)).mean.to(weight)
        if frames < self.latents:
            middle = latent[..., edge : edge + 1].expand(-1, -1, self.latents - 2 * edge)
            latent = torch.cat([latent[..., :edge], middle, latent[..., -edge:]], dim=-1)
        return self.project(latent)


class MelAudioConditioner(nn.Module):
    """AudioX-MAF: a log-mel spectrogram, one token per column; absent is masked throughout."""

    def __init__(self, mel: MelConfig, width: int, tokens: int = 1) -> None:
        super().__init__()
        self.mel, self.tokens = mel, tokens
        self.proj_features = nn.Linear(mel.filters, width)

    def forward(
        self,
        audio: Tensor,
        _vae: AnyVAE | None = None,
        _noise: Tensor | None = None,
        hide: Sequence[Span] = (),
    ) -> Tensor:
        """Audio `b c n` at the model's rate, taken for 24 kHz as in training -> `b t d`."""
        log_mel = self.log_mel(audio)
        columns = log_mel.shape[-1]
        for begin, end in hide:
            log_mel[..., round(begin * columns) : round(end * columns)] = HIDDEN_MEL
        return self.project(log_mel)

    def log_mel(self, audio: Tensor) -> Tensor:
        """Audio `b c n` -> natural log of its mel magnitudes, `b f t`, computed in float32."""
        mel, mono = self.mel, audio.float().mean(dim=1)
        window = torch.hann_window(mel.fft, dtype=torch.float32, device=audio.device)
        spectrum = torch.stft(
            mono,
            mel.fft,
            mel.hop,
            window=window,
            center=True,
            pad_mode="reflect",
            return_complex=True,
        ).abs()
        filters = mel_filters(mel).to(audio.device)
        return torch.einsum("b k t, k f -> b f t", spectrum, filters).clamp(SILENT_MEL).log()

    def project(self, log_mel: Tensor) -> Tensor:
        """Log-mel `b f t` -> `b t d`."""
        columns = rearrange(log_mel, "b f t -> b t f").to(self.proj_features.weight)
        return self.proj_features(columns)

    def absent(self, _open_vae: Callable[[], AnyVAE] | None = None) -> Tensor:
        """All columns masked, `1 t d`: the largest mask that training drew."""
        return self.project(torch.full((1, self.mel.filters, self.tokens), HIDDEN_MEL))


AnyAudioConditioner = AudioConditioner | ProjectedAudioConditioner | MelAudioConditioner


def audio_conditioner(config: AudioXConfig, vae: Oobleck | None = None) -> AnyAudioConditioner:
    """The kind that a model was trained with, without weights.

    Args:
        config: of the model.
        vae: for audio prompts, where that is another than the one that decodes.
    """
    channels, width, tokens = config.latent.channels, config.dit.cond_dim, config.audio_tokens
    if config.mel is not None:
        return MelAudioConditioner(config.mel, width, tokens)
    if config.audio_latents is not None:
        return ProjectedAudioConditioner(channels, config.audio_latents, tokens, width, vae=vae)
    return AudioConditioner(channels, tokens, width, vae)


def prompt_latents(vae: AnyVAE, audio: Tensor, noise: Tensor | None) -> Tensor:
    """Encode a prompt: draw from the posterior with `noise`, or take its mean.

    Args:
        vae: the prompt's VAE.
        audio: `b c n`; mono is duplicated; only the first two channels are used.
        noise: unit noise `b c t`, or None.

    Returns:
        Latents `b c t`.
    """
    stereo = audio.expand(-1, 2, -1) if audio.shape[1] == 1 else audio[:, :2]
    # one by one: ten seconds at full rate take gigabytes in the first layers
    posteriors = [vae.encode(item[None]) for item in stereo]
    mean = torch.cat([p.mean for p in posteriors])
    return mean if noise is None else mean + torch.cat([p.std for p in posteriors]) * noise


def silenced(audio: Tensor, hide: Sequence[Span]) -> Tensor:
    """Audio `... n` with shares of its length, from and to, set to zero."""
    return hide_samples(audio, audio.shape[-1], hide) if hide else audio


def encode_waveform(
    conditioner: AnyAudioConditioner,
    vae: AnyVAE | None,
    waveform: Tensor,
    latent_format: LatentConfig,
    *,
    hide: tuple[Span, ...] = (),
    noise: Tensor | None = None,
) -> Tensor:
    """Encode an audio prompt of one window.

    Args:
        conditioner, vae: of a checkpoint; AudioX-MAF needs no VAE.
        waveform: `c n` at the model's rate; cut or filled with silence to ten seconds, as in
            training.
        latent_format: of the model.
        hide: spans in seconds that are silenced first.
        noise: unit noise `1 c t` to draw the prompt's latents with; None takes their mean.

    Returns:
        Tokens `1 t d`.
    """
    end = latent_format.conditioned_seconds
    samples = latent_format.samples(end)
    waveform = waveform[..., :samples]
    waveform = pad(waveform, (0, samples - waveform.shape[-1]))
    shares = [(min(1.0, a / end), min(1.0, b / end)) for a, b in hide]
    device = next(conditioner.parameters()).device
    return conditioner(waveform[None].to(device, torch.float32), vae, noise, shares)
