"""What all stages but `vae` read of a clip: latents, pictures, a prompt; made once and cached."""

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

import torch
from torch import Tensor

from ..checkpoint import open_checkpoint, open_vae
from ..checkpoint.layout import AUDIO_VAE
from ..checkpoint.weight_file import open_weights
from ..conditioners.assemble import Conditioners
from ..conditioners.audio import MelAudioConditioner, audio_conditioner
from ..conditioners.video import VideoConditioner, encode_sync
from ..config import AudioXConfig
from ..models.oobleck import Oobleck
from .cache import Item, Make
from .clips import Clip
from .crops import pad_crop
from .data_source import DataSource


@dataclass(frozen=True)
class Features:
    """Makes the cache.

    Per clip: `mean` and `std` of its latent; of a picture `frames` (or, `seen`, what CLIP saw in
    them) and `sync`; of a sound prompt `prompt_mean` and `prompt_std`, or `prompt_mel`.
    """

    data_source: DataSource
    model: AudioXConfig
    vae: Path | None  # a file of its own
    init: Path | None  # a checkpoint, for all that `vae` does not hold
    encode_clip: bool = False  # CLIP learns nothing and no patch is hidden: its answers are kept

    def key(self) -> str:
        """As `cache.Maker`: clips, weights, and what is kept."""
        digest = blake2b(digest_size=8)
        for path in (self.vae, self.init if self._asks_init() else None):
            if path is not None:
                digest.update(open_weights(path).fingerprint().encode())
        digest.update(repr((self.encode_clip, self.model.mel)).encode())
        return f"features-{self.data_source.key()}-{digest.hexdigest()}"

    def _asks_init(self) -> bool:
        """Whether what is kept depends on the checkpoint, too."""
        if self.init is None:
            return False
        looked = self.encode_clip or self.model.video.sync is not None
        hears = self.vae is None or bool(open_weights(self.init).below(AUDIO_VAE))
        return looked or hears

    def open(self) -> Make:
        """As `cache.Maker`."""
        file = None if self.init is None else open_checkpoint(self.init)
        conditioners = None if file is None else file.load_conditioners()
        vae = file.load_vae() if self.vae is None else open_vae(self.vae).load()
        source = self.data_source.open()

        def make(index: int) -> Item:
            clip = source.clip(index)
            with torch.inference_mode():
                tensors = {
                    **_posterior(vae, clip.audio, ""),
                    **self._pictures(clip, conditioners),
                    **self._prompt(clip, vae, conditioners),
                }
            return Item({name: t.contiguous() for name, t in tensors.items()}, clip.caption)

        return make

    def _pictures(self, clip: Clip, conditioners: Conditioners | None) -> Mapping[str, Tensor]:
        if clip.frames is None:
            return {}
        pictures = {"frames": clip.frames}
        if self.encode_clip:
            video: VideoConditioner = conditioners.video
            pictures = {"seen": video.clip_states(clip.frames).half()}
        sync = self.model.video.sync
        if sync is not None and clip.sync is not None and conditioners is not None:
            pictures["sync"] = encode_sync(conditioners.sync, clip.sync, sync.fps)[0]
        return pictures

    def _prompt(
        self, clip: Clip, vae: Oobleck, conditioners: Conditioners | None
    ) -> Mapping[str, Tensor]:
        if clip.prompt is None:
            return {}
        samples = self.model.latent.samples(self.model.latent.conditioned_seconds)
        audio = pad_crop(clip.prompt, samples)
        if self.model.mel is not None:
            ears = audio_conditioner(self.model)
            assert isinstance(ears, MelAudioConditioner)
            return {"prompt_mel": ears.log_mel(audio[None])[0].half()}
        own = None if conditioners is None else conditioners.audio.vae
        return _posterior(own or vae, audio, "prompt_")


def _posterior(vae: Oobleck, audio: Tensor, name: str) -> Mapping[str, Tensor]:
    """Mean and standard deviation of a sound's latent, `c t` in half precision."""
    posterior = vae.encode(audio[None].float())
    return {f"{name}mean": posterior.mean[0].half(), f"{name}std": posterior.std[0].half()}
