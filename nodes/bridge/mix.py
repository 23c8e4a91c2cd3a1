"""AUDIO -> layers, and layers -> AUDIO."""

from collections.abc import Mapping
from typing import Any

import torch

from ...audiox_core.media.ducking import Ducking
from ...audiox_core.media.layers import Layer, mix_layers
from .media import audio_of, first_of_batch, rate_of, waveform_of

_SILENCE = {"waveform": torch.zeros(1, 1, 1), "sample_rate": 44_100}


class NativeLayer(Layer):
    """One of AUDIOX_LAYERS."""

    def _comfy_cache_tensors(self) -> list[torch.Tensor]:
        """ComfyUI asks here for the size of what it caches."""
        return [self.waveform]


def layer_added(
    audio: Mapping[str, Any] | None,
    gain_db: float,
    start: float,
    fade_in: float,
    fade_out: float,
    pan: float,
    name: str,
    layers: tuple[Layer, ...] | None = None,
) -> tuple[tuple[Layer, ...], str]:
    """Layers and one more, and what the node shows.

    Args:
        audio: AUDIO; the first item of a batch is used. None is the sound of a silent video.
        gain_db, start, fade_in, fade_out, pan, name: as in `Layer`.
        layers: that come before it.
    """
    given = _SILENCE if audio is None else audio
    rate = rate_of(given)
    sound = waveform_of(given, rate)
    layer = NativeLayer(sound, rate, gain_db, start, fade_in, fade_out, pan, name)
    layer.check()
    added = (*(layers or ()), layer)
    heard = "no audio: silent" if audio is None else f"{layer.start:.2f} to {layer.end:.2f} s"
    shown = f"layer {len(added)} {layer.name}".strip() + f": {heard}", first_of_batch(audio)
    return added, "\n".join(filter(None, shown))


def mixed(
    layers: tuple[Layer, ...],
    duck_under: int,
    ducking: Ducking,
    lufs: float,
    ceiling_db: float,
    seconds: float,
) -> tuple[dict[str, Any], str]:
    """Layers -> AUDIO, and the levels that the node shows.

    Args:
        layers: at least one.
        duck_under: number of the layer, from 1, under which the others are turned down; 0 is none.
        ducking: how far, and how fast.
        lufs: target loudness; 0 keeps the level.
        ceiling_db: highest true peak, dB of full scale.
        seconds: length of the mix; 0 goes to the end of the last layer.
    """
    mix = mix_layers(
        layers,
        duck_under=duck_under,
        ducking=ducking,
        lufs=lufs or None,
        ceiling_db=ceiling_db,
        seconds=seconds or None,
    )
    return audio_of(mix.mastered.waveform[None], mix.sample_rate), "\n".join(mix.report())
