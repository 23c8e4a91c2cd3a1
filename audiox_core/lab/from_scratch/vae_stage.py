"""The stage `vae`: an Oobleck VAE that learns to reconstruct short pieces of clips.

Its losses are those of the Stable Audio VAE (arXiv 2402.04825, section 3.1.1) without the
adversarial ones; spectra are compared in mel bands, as the Descript codec does (arXiv 2306.06546,
section 3.4), because without an adversary no loss describes the fine structure of noise within a
band. `level` and `flux`, of regions of these spectra, are our own. Axes: `b` pieces, `c` channels,
`n` samples, `k` mel bands, `t` frames.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import ceil, pi
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, l1_loss

from ...checkpoint.convert import convert
from ...checkpoint.weight_file import Stored
from ...checkpoint.write import write_safetensors
from ...conditioners.mel import mel_filters
from ...config import AudioXConfig, LatentConfig, MelConfig
from ...errors import SettingsError
from ...models.oobleck import Oobleck
from ...training.clips import DataSource, pad_crop
from ...training.config import TrainConfig, VaeConfig
from ...training.distributed import Distributed
from ...training.export import unfold_weight_norm
from ...training.features import Cache, MakeItem
from ...training.rng import clip_at, generator, noise
from .replace_decoder import has_own_vae, replace_decoder

FULL_SCALE = 32_767  # of the samples in the cache
MEASURED = 64  # clips whose latents tell their variance
QUIET = 1e-2  # deviation of sounds below which the share of what is missed counts less
FAINT = 1e-3  # the same of mel bands
AUDIBLE = 0.05  # peak of the pieces that are looked for
REGION = 4  # frames and mel bands whose level is asked together
FLUX_REGION = 16, 4  # frames and mel bands whose changes are asked together
BAND = 16  # samples of a window for each mel band


@dataclass(frozen=True)
class Sounds:
    """Makes the cache: the sound of each clip as 16-bit samples."""

    data_source: DataSource

    def key(self) -> str:
        """As `features.Maker`."""
        return f"sounds-{self.data_source.key()}"

    def open(self) -> MakeItem:
        """As `features.Maker`."""
        source = self.data_source.open()

        def make(index: int) -> tuple[dict[str, Tensor], str]:
            clip = source.clip(index)
            samples = (clip.audio.clamp(-1, 1) * FULL_SCALE).round().to(torch.int16)
            return {"audio": samples}, clip.caption

        return make


class Reconstruction(nn.Module):
    """A VAE and how well it gives sounds back."""

    def __init__(self, vae: Oobleck, config: VaeConfig, sample_rate: int) -> None:
        super().__init__()
        self.vae, self.config, self.sample_rate = vae, config, sample_rate

    def forward(self, audio: Tensor, unit: Tensor, error: Tensor) -> dict[str, Tensor]:
        """Losses of pieces `b 2 n`.

        Args:
            audio: `b 2 n`.
            unit: noise with which the latents are drawn, `b c t`.
            error: what is added to them, as a share of each channel's deviation, `b c t`.
        """
        posterior = self.vae.encode(audio)
        mean, scale = (part.float() for part in posterior)
        posterior = type(posterior)(mean, scale)
        config = self.config
        latent = posterior.sample(unit)
        if config.noise:  # with the gradient of the deviation: else the encoder would outgrow it
            latent = latent + mean.std(dim=(0, 2), keepdim=True, correction=0) * error
        decoded = self.vae.decode(latent).float()
        mel, level, flux = mel_losses(
            decoded,
            audio,
            self.sample_rate,
            config.windows,
            config.floor,
            level_floor=config.level_floor,
        )
        losses = {
            "mel": mel,
            "level": level,
            "flux": flux,
            "wave": relative_error(
                *(below(sound, config.wave_hz, self.sample_rate) for sound in (decoded, audio)),
                dims=(1, 2),
                quiet=QUIET,
            ).mean(),
            "kl": posterior.kl(),
        }
        loss: Any = sum(getattr(config, name) * value for name, value in losses.items())
        return {"loss": loss, **losses, "latent_std": mean.detach().std()}


def below(audio: Tensor, hz: float, sample_rate: int) -> Tensor:
    """Sound `b c n` without what lies above a frequency; 0 keeps all."""
    if not hz:
        return audio
    spectrum = torch.fft.rfft(audio)
    kept = ceil(hz / sample_rate * audio.shape[-1])
    return torch.fft.irfft(spectrum[..., :kept], audio.shape[-1])


def mel_losses(
    prediction: Tensor,
    target: Tensor,
    sample_rate: int,
    windows: tuple[int, ...],
    floor: float,
    *,
    level_floor: float = 0.0,
) -> tuple[Tensor, Tensor, Tensor]:
    """How far mel spectrograms are apart in magnitudes, and in levels and changes of regions.

    Where the latents do not tell a magnitude (a whistle that trills faster than they come), the
    best guess by magnitudes alone is too soft, down to silence. The level of a region does not
    depend on how its magnitudes lie, so it stays right. Of noise, the best guess is too steady: a
    hum in the place of rain. How much a region changes from frame to frame keeps it rough.

    Args:
        prediction, target: `b 2 n`.
        sample_rate: Hz.
        windows: lengths of the spectrograms' windows; those that are longer than the piece do
            not count.
        floor: of the magnitudes of a full-scale tone 1: below it all is silence.
        level_floor: the same of the levels; 0 takes `floor`. A higher one leaves out the faint
            regions, which are many, so that the loud ones decide.
    """
    magnitudes, levels, changes = [], [], []
    for window in windows:
        if window > prediction.shape[-1]:
            continue
        filters = mel_filters(MelConfig(sample_rate, window, 0, max(1, window // BAND)))
        mel, mel_target = (
            _magnitudes(sound, window) @ filters.to(sound) for sound in (prediction, target)
        )
        magnitudes.append(_distance(mel, mel_target, floor))
        levels.append(_distance(_regions(mel), _regions(mel_target), level_floor or floor))
        changes.append(l1_loss(_flux(mel, floor), _flux(mel_target, floor)))
    return tuple(torch.stack(losses).mean() for losses in (magnitudes, levels, changes))


def _distance(prediction: Tensor, target: Tensor, floor: float) -> Tensor:
    """Of the logarithms of `b c t k`, and spectral convergence (the share that is missed)."""
    logs = l1_loss((prediction + floor).log(), (target + floor).log())
    return logs + relative_error(prediction, target, dims=(1, 2, 3), quiet=FAINT).sqrt().mean()


def _regions(magnitudes: Tensor) -> Tensor:
    """`b c t k` -> root mean squares of some frames and bands together, `b c t' k'`."""
    return _root(avg_pool2d(magnitudes.float().square(), REGION, ceil_mode=True))


def _flux(magnitudes: Tensor, floor: float) -> Tensor:
    """`b c t k` -> mean changes of the logarithm from frame to frame, of regions `b c t' k'`."""
    logs = (magnitudes.float() + floor).log()
    return avg_pool2d(logs.diff(dim=2).abs(), FLUX_REGION, ceil_mode=True)


def relative_error(
    prediction: Tensor, target: Tensor, dims: tuple[int, ...], *, quiet: float
) -> Tensor:
    """Energy of the difference as a share of the target's, over `dims`; one for each sound.

    Of each by itself, so that a loss does not depend on its neighbours, and so that a quiet
    one teaches as much as a loud one: else silence is a fair answer to most.
    """
    error = (prediction - target).square().mean(dims)
    return (error + 1e-9) / (target.square().mean(dims) + quiet**2)  # 1e-9: as in `_root`


def _magnitudes(audio: Tensor, window: int) -> Tensor:
    """Audio `b c n` -> magnitudes of its spectra `b c t f`, 1 for a full-scale tone."""
    weights = torch.hann_window(window, device=audio.device)
    frames = audio.unfold(-1, window, window // 4) * (weights * (2 / weights.sum()))
    parts = torch.view_as_real(Spectrum.apply(frames))
    return _root(parts.square().sum(dim=-1))


def _root(energies: Tensor) -> Tensor:
    return (energies + 1e-12).sqrt()  # the root of 0 has no slope


class Spectrum(torch.autograd.Function):
    """`rfft` with a gradient of half the work: torch's own goes through the whole complex one."""

    @staticmethod
    def forward(context: Any, frames: Tensor) -> Tensor:
        """Frames `... n` -> `... k`."""
        context.length = frames.shape[-1]
        return torch.fft.rfft(frames)

    @staticmethod
    def backward(context: Any, slope: Tensor) -> Tensor:
        """What flows back, `... n`: the inverse counts twice what has a mirror."""
        slope = slope.clone()
        slope[..., 1 : (context.length + 1) // 2] /= 2
        return torch.fft.irfft(slope, context.length, norm="forward")


class VaeStage:
    """Random pieces of cached sounds, a VAE, and the file that it becomes."""

    unused_weights = False

    def __init__(
        self,
        vae: Oobleck,
        model: AudioXConfig,
        config: TrainConfig,
        cache: Cache,
        dist: Distributed,
        *,
        normalize: bool,
        model_path: Path | None,
    ) -> None:
        self.config, self.cache, self.model, self.device = config, cache, model, dist.device
        self.normalize, self.model_path = normalize, model_path
        self.items_per_step = config.optim.items_per_step(dist.size)
        self.latent_format: LatentConfig = replace(
            model.latent, channels=model.vae.latent_channels, hop_length=model.vae.hop_length
        )
        rate = self.latent_format.sample_rate
        self.module = Reconstruction(vae, config.vae, rate).to(dist.device)
        frames = round(config.vae.crop_seconds * rate / self.latent_format.hop_length)
        self.frames = max(1, frames)
        samples = self.frames * self.latent_format.hop_length
        if not any(window <= samples for window in config.vae.windows):
            raise SettingsError(
                f"vae.windows is {[*config.vae.windows]}: the pieces of vae.crop_seconds have "
                f"{samples:,} samples, and at least one window must fit into them."
            )

    def batch(self, step: int, items: range) -> tuple[Tensor, Tensor, Tensor]:
        """Pieces `b 2 n`, unit noise for their latents, and what is added to them, `b c t`."""
        seed, every = self.config.run.seed, self.items_per_step
        clips = [clip_at(step * every + item, len(self.cache), seed) for item in items]
        pieces = [self.piece(step, *pair) for pair in zip(items, clips, strict=True)]
        shape = self.latent_format.channels, self.frames
        unit = noise(shape, seed, "latent", step, items=items)
        error = noise(shape, seed, "error", step, items=items)
        shares = noise((2,), seed, "share", step, items=items)  # to be one number in 0..1
        share = torch.atan2(*shares.abs().T)[:, None, None] * (2 / pi)
        error *= self.config.vae.noise * share
        return tuple(x.to(self.device) for x in (torch.stack(pieces), unit, error))

    def piece(self, step: int, item: int, clip: int) -> Tensor:
        """A random piece of a cached sound, `2 n`; a quiet one is drawn again, twice."""
        audio, samples = self.cache[clip]["audio"], self.frames * self.latent_format.hop_length
        rng = generator(self.config.run.seed, "piece", step, item)
        for _ in range(3):
            begin = int(torch.randint(max(1, audio.shape[-1] - samples + 1), (1,), generator=rng))
            piece = pad_crop(audio, samples, begin)
            if piece.float().abs().max() > AUDIBLE * FULL_SCALE:
                break
        return piece.float() / FULL_SCALE

    def save(self, folder: Path, weights: Mapping[str, Tensor], record: Mapping[str, Any]) -> Path:
        """Write `vae.safetensors`, and the model with this VAE.

        A model whose latents change is written after the last step only.
        """
        trained = {name.removeprefix("vae."): tensor for name, tensor in weights.items()}
        state = {n: t.detach().cpu() for n, t in (self.module.vae.state_dict() | trained).items()}
        if self.normalize:
            state = unit_latents(state, self.latent_std(state))
        path = write_vae(folder / "vae.safetensors", state, self.model, record)
        complete = folder / "model.safetensors"
        keeps_latents = not self.config.vae.train_encoder
        if self.model_path is not None and keeps_latents and has_own_vae(self.model_path):
            replace_decoder(self.model_path, state, complete, record)
        elif self.model_path is not None and record["steps"] >= self.config.run.steps:
            convert([self.model_path, path], complete)
        return path

    @torch.no_grad()
    def latent_std(self, state: Mapping[str, Tensor]) -> Tensor:
        """Standard deviation of each latent channel over whole clips, silence too, `c`."""
        with torch.device("meta"):
            vae = Oobleck(self.model.vae)
        vae.load_state_dict({**state}, assign=True)
        vae.to(self.device)
        clips = range(min(MEASURED, len(self.cache)))
        sounds = (self.cache[clip]["audio"][None].to(self.device) for clip in clips)
        posteriors = [vae.encode(sound.float() / FULL_SCALE) for sound in sounds]
        means = torch.cat([p.mean[0] for p in posteriors], dim=-1)
        stds = torch.cat([p.std[0] for p in posteriors], dim=-1)
        return (means.square() + stds.square()).mean(dim=-1).sqrt().cpu()


def write_vae(
    path: Path, state: Mapping[str, Tensor], model: AudioXConfig, record: Mapping[str, Any]
) -> Path:
    """A VAE alone, in float32, as `load_checkpoint(vae=…)` takes it."""
    tensors = unfold_weight_norm(state)
    stored = {name: Stored(tuple(t.shape), t.dtype) for name, t in tensors.items()}
    header = {"format": "pt", "audiox": model.to_json(), "trained": json.dumps(record)}
    write_safetensors(path, stored, tensors.__getitem__, header)
    return path


def unit_latents(state: Mapping[str, Tensor], std: Tensor) -> dict[str, Tensor]:
    """The same VAE with latents divided by `std` `c`: its outermost weights take that up.

    Exact for the means and the decoder; the encoder's raw scale, which goes through a softplus,
    is moved by a logarithm, as is exact where the spread is small.
    """
    state, channels = dict(state), len(std)
    last = max(int(n.split(".")[2]) for n in state if n.startswith("encoder.layers."))
    out, into = f"encoder.layers.{last}", "decoder.layers.0.weight"
    weight, bias = state[f"{out}.weight"].clone(), state[f"{out}.bias"].clone()
    weight[:channels] /= std[:, None, None]
    bias[:channels] /= std
    bias[channels:] -= std.log()
    return state | {
        f"{out}.weight": weight,
        f"{out}.bias": bias,
        into: state[into] * std[None, :, None],
    }
