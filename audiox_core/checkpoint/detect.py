"""Which model a file holds, and its sizes, from names and shapes alone."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from ..config import (
    AudioXConfig,
    ClipConfig,
    DiTConfig,
    LatentConfig,
    OobleckConfig,
    TemporalConfig,
    TextConfig,
    VideoConfig,
)
from ..errors import WeightsError
from .layout import AUDIO, DIT, VAE, VIDEO
from .weight_file import Shape, WeightFile

STRANGERS = (  # part of a key -> what such a file is; the specific before the broad
    ("lora_", "a LoRA"),
    ("maf_block.", "a model of the AudioX-MAF line, which this version cannot run yet"),
    ("diffusion_ema.", "a raw AudioX training state, not the exported model"),
    ("model.diffusion_model.", "a Stable Diffusion checkpoint"),
    ("encoder.block.", "a T5 text encoder (give it as the text encoder)"),
    ("decoder.layers.", "an audio VAE alone (give it as the VAE)"),
    ("vision_model.", "a CLIP vision model"),
)


def detect(file: WeightFile, config_json: Path | None = None) -> tuple[AudioXConfig, str]:
    """The config of the model in a file, and where it was found.

    Args:
        file: whatever the user named.
        config_json: of the original release; overrides what shapes cannot tell.

    Raises:
        WeightsError: the file holds no AudioX model; the message says what it looks like.
    """
    if hollow := next((name for name, shape in file.shapes.items() if 0 in shape), None):
        raise WeightsError(
            f"{file.path.name} holds '{hollow}' without numbers: get the file again."
        )
    if (header := file.header.get("audiox")) is not None:
        try:
            config, source = AudioXConfig.from_json(header), "the file's header"
        except ValueError as error:
            raise WeightsError(
                f"{file.path.name} has a header of another version of this pack ({error}): "
                "update the pack or convert the file again."
            ) from error
    else:
        _check_family(file)
        config, source = config_from_shapes(file.shapes), "the tensors' shapes and the v1 preset"
        try:
            config.checked()
        except ValueError as error:
            raise WeightsError(
                f"{file.path.name} has sizes of which no AudioX model is made ({error}): "
                "choose the file as it was released."
            ) from error
    if config_json is None:
        return config, source
    return _override(config, config_json), f"{source}, overridden by {config_json.name}"


def _check_family(file: WeightFile) -> None:
    names = file.shapes
    stranger = next((what for part, what in STRANGERS if any(part in n for n in names)), None)
    ours = any(n.startswith((DIT, VIDEO, AUDIO)) for n in names)
    if ours and stranger in {None, "an audio VAE alone (give it as the VAE)", STRANGERS[-1][1]}:
        return
    first = next(iter(names), "nothing")
    looks = f"it looks like {stranger}" if stranger else f"its first tensor is '{first}'"
    raise WeightsError(
        f"{file.path.name} holds no AudioX v1 model: {looks}. Choose AudioX's model.ckpt or "
        "model.safetensors, or leave --checkpoint out for the embedded one."
    )


def config_from_shapes(shapes: Mapping[str, Shape]) -> AudioXConfig:
    """Every size that shapes tell; v1's for the rest (also for tensors that are missing)."""
    preset = AudioXConfig()
    dit = _dit(_Shapes(shapes, DIT), preset.dit)
    vae = oobleck_from_shapes(shapes, VAE)
    audio_tokens = _Shapes(shapes, AUDIO).size("empty_audio_feat", 1, preset.audio_tokens)
    return replace(
        preset,
        latent=replace(preset.latent, channels=vae.latent_channels, hop_length=vae.hop_length),
        vae=vae,
        dit=dit,
        video=_video(_Shapes(shapes, VIDEO), preset.video),
        audio_tokens=audio_tokens,
    )


class _Shapes:
    """Shapes below a prefix; a missing one gives the preset's size."""

    def __init__(self, shapes: Mapping[str, Shape], prefix: str) -> None:
        self.shapes = {k.removeprefix(prefix): v for k, v in shapes.items() if k.startswith(prefix)}

    def size(self, key: str, axis: int, default: int) -> int:
        shape = self.shapes.get(key, ())
        return shape[axis] if axis < len(shape) else default

    def count(self, before: str, default: int) -> int:
        """How many layers are numbered after `before`."""
        return _count((k for k in self.shapes if k.startswith(before)), before) or default


def _count(keys: Iterable[str], before: str) -> int:
    numbers = {key.removeprefix(before).partition(".")[0] for key in keys}
    return sum(number.isdecimal() for number in numbers)


def _dit(shapes: _Shapes, preset: DiTConfig) -> DiTConfig:
    width = shapes.size("to_timestep_embed.0.bias", 0, preset.width)
    width = shapes.size("transformer.project_in.weight", 0, width)
    inner = shapes.size("transformer.layers.0.ff.ff.2.weight", 1, preset.ff_mult * width)
    return replace(
        preset,
        io_channels=shapes.size("transformer.project_in.weight", 1, preset.io_channels),
        width=width,
        depth=shapes.count("transformer.layers.", preset.depth),
        cond_dim=shapes.size("to_cond_embed.0.weight", 1, preset.cond_dim),
        global_dim=shapes.size("to_global_embed.0.weight", 1, 0),
        ff_mult=inner // width,
        time_frequencies=shapes.size("timestep_features.weight", 0, preset.time_frequencies),
    )


def oobleck_from_shapes(shapes: Mapping[str, Shape], prefix: str) -> OobleckConfig:
    """The VAE's sizes from its encoder's and decoder's convolutions."""
    preset, found = OobleckConfig(), _Shapes(shapes, prefix)
    base = found.size("encoder.layers.0.weight_v", 0, preset.channels)
    stages = found.count("encoder.layers.", len(preset.strides) + 3) - 3
    convs = [f"encoder.layers.{i + 1}.layers.4.weight_v" for i in range(stages)]
    known = list(zip(preset.multipliers, preset.strides, strict=True))
    fallback = [known[min(i, len(known) - 1)] for i in range(stages)]
    sizes = list(zip(convs, fallback, strict=True))
    return replace(
        preset,
        io_channels=found.size("encoder.layers.0.weight_v", 1, preset.io_channels),
        channels=base,
        multipliers=tuple(found.size(c, 0, base * m) // base for c, (m, _) in sizes),
        strides=tuple(found.size(c, 2, 2 * s) // 2 for c, (_, s) in sizes),
        latent_channels=found.size("decoder.layers.0.weight_v", 1, preset.latent_channels),
    )


def _video(shapes: _Shapes, preset: VideoConfig) -> VideoConfig:
    tower, layer = "visual_encoder_model.vision_model.", "Temp_transformer.layers.0."
    clip, temporal = preset.clip, preset.temporal
    width = shapes.size(f"{tower}embeddings.class_embedding", 0, clip.width)
    patch = shapes.size(f"{tower}embeddings.patch_embedding.weight", 2, clip.patch)
    tokens = shapes.size(f"{tower}embeddings.position_embedding.weight", 0, clip.tokens)
    inner = shapes.size(f"{layer}0.fn.to_out.0.weight", 1, temporal.heads * temporal.head_dim)
    return replace(
        preset,
        frames=shapes.size("Temp_pos_embedding", 1, preset.frames),
        tokens=shapes.size("proj.weight", 0, preset.tokens),
        clip=ClipConfig(
            width=width,
            depth=shapes.count(f"{tower}encoder.layers.", clip.depth),
            heads=max(1, width // (clip.width // clip.heads)),
            ff_width=shapes.size(f"{tower}encoder.layers.0.mlp.fc1.weight", 0, clip.ff_width),
            patch=patch,
            image=round((tokens - 1) ** 0.5) * patch,
            projection=shapes.size("visual_encoder_model.visual_projection.weight", 0, 512),
        ),
        temporal=TemporalConfig(
            depth=shapes.count("Temp_transformer.layers.", temporal.depth),
            heads=max(1, inner // temporal.head_dim),
            ff_width=shapes.size(f"{layer}1.fn.net.0.weight", 0, temporal.ff_width),
        ),
    )


def text_from_shapes(shapes: Mapping[str, Shape], prefix: str = "") -> TextConfig:
    """A T5 encoder's sizes; its shapes tell all that matters."""
    found, preset, block = _Shapes(shapes, prefix), TextConfig(), "encoder.block.0.layer."
    attention = f"{block}0.SelfAttention."
    heads = found.size(f"{attention}relative_attention_bias.weight", 1, preset.heads)
    gated = f"{block}1.DenseReluDense.wi_0.weight"
    plain = f"{block}1.DenseReluDense.wi.weight"
    return TextConfig(
        vocab_size=found.size("shared.weight", 0, preset.vocab_size),
        width=found.size("shared.weight", 1, preset.width),
        depth=found.count("encoder.block.", preset.depth),
        heads=heads,
        head_dim=found.size(f"{attention}q.weight", 0, heads * preset.head_dim) // heads,
        ff_width=found.size(gated if gated in found.shapes else plain, 0, preset.ff_width),
        gated=gated in found.shapes,
        buckets=found.size(f"{attention}relative_attention_bias.weight", 0, preset.buckets),
    )


def _override(config: AudioXConfig, path: Path) -> AudioXConfig:
    """What a released config.json says beyond the shapes: rate, lengths, frame rate, heads."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        dit = data.get("model", {}).get("diffusion", {}).get("config", {})
        latent: LatentConfig = config.latent
        latent = replace(
            latent,
            sample_rate=int(data.get("sample_rate", latent.sample_rate)),
            window=int(data.get("sample_size", latent.window * latent.hop_length))
            // latent.hop_length,
        )
        return replace(
            config,
            latent=latent,
            video=replace(config.video, fps=float(data.get("video_fps", config.video.fps))),
            dit=replace(
                config.dit,
                head_dim=config.dit.width
                // int(dit.get("num_heads", config.dit.width // config.dit.head_dim)),
            ),
        ).checked()
    except (
        OSError,
        ValueError,
        AttributeError,
        TypeError,
        ArithmeticError,
        RecursionError,
    ) as error:
        raise WeightsError(
            f"{path} is no config.json of an AudioX release ({error}): "
            "take the one that lies beside model.ckpt, or leave it out."
        ) from error
