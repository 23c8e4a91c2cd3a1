"""The sizes of a model from the shapes of its tensors; a preset gives what shapes do not tell."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ..config import (
    AudioXConfig,
    ClipConfig,
    DiTConfig,
    MAFConfig,
    MMDiTConfig,
    OobleckConfig,
    SynchformerConfig,
    TemporalConfig,
    TextConfig,
    VideoConfig,
)
from ..variants import VARIANTS
from .layout import AUDIO, AUDIO_VAE, DIT, MAF, VAE, VIDEO
from .weight_file import Shape


class _Shapes:
    """Shapes below a prefix; a missing one gives the preset's size."""

    def __init__(self, shapes: Mapping[str, Shape], prefix: str) -> None:
        self.shapes = {k.removeprefix(prefix): v for k, v in shapes.items() if k.startswith(prefix)}

    def size(self, key: str, axis: int, default: int) -> int:
        shape = self.shapes.get(key, ())
        return shape[axis] if axis < len(shape) else default

    def sizes(self, preset: Any, axes: Mapping[str, tuple[str, int]]) -> Any:
        """The preset with each field of `axes` read from its tensor's axis."""
        found = {f: self.size(key, axis, getattr(preset, f)) for f, (key, axis) in axes.items()}
        return replace(preset, **found)

    def count(self, before: str, default: int) -> int:
        """How many layers are numbered after `before`."""
        behind = (key.removeprefix(before) for key in self.shapes if key.startswith(before))
        return sum(n.isdecimal() for n in {key.partition(".")[0] for key in behind}) or default


def config_from_shapes(shapes: Mapping[str, Shape], variant: str = "audiox") -> AudioXConfig:
    """Every size that shapes tell; the variant's for the rest, and for what is missing.

    Args:
        shapes: of all tensors of a checkpoint.
        variant: a key of `VARIANTS`.
    """
    preset = VARIANTS[variant]
    own = any(name.startswith(VAE) for name in shapes)
    vae = oobleck_sizes(shapes, VAE if own else AUDIO_VAE)  # else it has a file of its own
    latent = replace(preset.latent, channels=vae.latent_channels, hop_length=vae.hop_length)
    config = replace(
        preset,
        latent=latent,
        vae=vae,
        dit=_backbone(_Shapes(shapes, DIT), preset.dit),
        maf=preset.maf and _maf(_Shapes(shapes, MAF), preset.maf),
        video=_video(_Shapes(shapes, VIDEO), preset.video),
    )
    audio = _Shapes(shapes, AUDIO)
    if preset.mel is not None:
        mel = audio.sizes(preset.mel, {"filters": ("proj_features.weight", 1)})
        columns = 1 + latent.samples(latent.conditioned_seconds) // mel.hop
        return replace(config, mel=mel, audio_tokens=columns)
    if preset.audio_latents is not None:
        mixed = "proj_features_128.weight"
        return audio.sizes(config, {"audio_tokens": (mixed, 0), "audio_latents": (mixed, 1)})
    return audio.sizes(config, {"audio_tokens": ("empty_audio_feat", 1)})


def _backbone(shapes: _Shapes, preset: DiTConfig | MMDiTConfig) -> DiTConfig | MMDiTConfig:
    return (_mmdit if isinstance(preset, MMDiTConfig) else _dit)(shapes, preset)


def _dit(shapes: _Shapes, preset: DiTConfig) -> DiTConfig:
    width = shapes.size("to_timestep_embed.0.bias", 0, preset.width)
    width = shapes.size("transformer.project_in.weight", 0, width)
    inner = shapes.size("transformer.layers.0.ff.ff.2.weight", 1, preset.ff_mult * width)
    axes = {
        "io_channels": ("transformer.project_in.weight", 1),
        "cond_dim": ("to_cond_embed.0.weight", 1),
        "time_frequencies": ("timestep_features.weight", 0),
    }
    return replace(
        shapes.sizes(preset, axes),
        width=width,
        depth=shapes.count("transformer.layers.", preset.depth),
        global_dim=shapes.size("to_global_embed.0.weight", 1, 0),
        ff_mult=inner // width,
    )


def _mmdit(shapes: _Shapes, preset: MMDiTConfig) -> MMDiTConfig:
    axes = {
        "io_channels": ("transformer.project_in.weight", 1),
        "width": ("transformer.project_in.weight", 0),
        "cond_dim": ("transformer.proj_mm_tokens.weight", 1),
        "ff_width": ("transformer.layers.0.ffn.w1.weight", 0),
        "kernel": ("transformer.layers.0.ffn.w1.weight", 2),
        "positions": ("transformer.proj_mm_seq_len.weight", 0),
        "tokens": ("transformer.proj_mm_seq_len.weight", 1),
        "time_frequencies": ("timestep_features.weight", 0),
    }
    return replace(
        shapes.sizes(preset, axes),
        depth=shapes.count("transformer.layers.", preset.depth),
        global_dim=shapes.size("to_global_embed.0.weight", 1, 0),
    )


def _maf(shapes: _Shapes, preset: MAFConfig) -> MAFConfig:
    layer = "fusion_transformer.layers."
    axes = {"width": ("unified_experts", 1), "ff_width": (f"{layer}0.linear1.weight", 0)}
    config = shapes.sizes(preset, axes)
    return replace(
        config,
        experts=shapes.size("unified_experts", 0, 3 * preset.experts) // 3,
        heads=_heads(config.width, preset),
        depth=shapes.count(layer, preset.depth),
    )


def _heads(width: int, preset: ClipConfig | MAFConfig | SynchformerConfig) -> int:
    """As many heads as keep the preset's width of a head, which shapes do not tell."""
    return max(1, width // (preset.width // preset.heads))


def oobleck_sizes(shapes: Mapping[str, Shape], prefix: str) -> OobleckConfig:
    """The VAE's sizes from its encoder's and decoder's convolutions."""
    preset, found = OobleckConfig(), _Shapes(shapes, prefix)
    base = found.size("encoder.layers.0.weight_v", 0, preset.channels)
    stages = found.count("encoder.layers.", len(preset.strides) + 3) - 3
    convs = [f"encoder.layers.{i + 1}.layers.4.weight_v" for i in range(stages)]
    known = list(zip(preset.multipliers, preset.strides, strict=True))
    fallback = [known[min(i, len(known) - 1)] for i in range(stages)]
    sizes = list(zip(convs, fallback, strict=True))
    axes = {
        "io_channels": ("encoder.layers.0.weight_v", 1),
        "latent_channels": ("decoder.layers.0.weight_v", 1),
    }
    return replace(
        found.sizes(preset, axes),
        channels=base,
        multipliers=tuple(found.size(c, 0, base * m) // base for c, (m, _) in sizes),
        strides=tuple(found.size(c, 2, 2 * s) // 2 for c, (_, s) in sizes),
    )


def _video(shapes: _Shapes, preset: VideoConfig) -> VideoConfig:
    tower, layer = "visual_encoder_model.vision_model.", "Temp_transformer.layers.0."
    temporal = preset.temporal
    inner = shapes.size(f"{layer}0.fn.to_out.0.weight", 1, temporal.heads * temporal.head_dim)
    axes = {
        "width": (f"{tower}embeddings.class_embedding", 0),
        "ff_width": (f"{tower}encoder.layers.0.mlp.fc1.weight", 0),
        "patch": (f"{tower}embeddings.patch_embedding.weight", 2),
        "projection": ("visual_encoder_model.visual_projection.weight", 0),
    }
    clip = shapes.sizes(preset.clip, axes)
    positions = f"{tower}embeddings.position_embedding.weight"
    patches = shapes.size(positions, 0, preset.clip.tokens) - 1
    return replace(
        shapes.sizes(preset, {"frames": ("Temp_pos_embedding", 1), "tokens": ("proj.weight", 0)}),
        clip=replace(
            clip,
            depth=shapes.count(f"{tower}encoder.layers.", clip.depth),
            heads=_heads(clip.width, preset.clip),
            image=round(patches**0.5) * clip.patch,
        ),
        temporal=TemporalConfig(
            depth=shapes.count("Temp_transformer.layers.", temporal.depth),
            heads=max(1, inner // temporal.head_dim),
            ff_width=shapes.size(f"{layer}1.fn.net.0.weight", 0, temporal.ff_width),
        ),
    )


def synchformer_sizes(shapes: Mapping[str, Shape], prefix: str) -> SynchformerConfig:
    """The sizes of Synchformer's visual encoder."""
    found, preset = _Shapes(shapes, prefix), SynchformerConfig()
    axes = {
        "width": ("cls_token", 2),
        "ff_width": ("blocks.0.mlp.fc1.weight", 0),
        "patch": ("patch_embed_3d.proj.weight", 3),
        "patch_frames": ("patch_embed_3d.proj.weight", 2),
    }
    config = found.sizes(preset, axes)
    patches = found.size("pos_embed", 1, (preset.image // preset.patch) ** 2 + 1) - 1
    moments = found.size("temp_embed", 1, preset.segment // preset.patch_frames)
    return replace(
        config,
        depth=found.count("blocks.", preset.depth),
        heads=_heads(config.width, preset),
        image=round(patches**0.5) * config.patch,
        segment=moments * config.patch_frames,
    )


def text_sizes(shapes: Mapping[str, Shape], prefix: str = "") -> TextConfig:
    """A T5 encoder's sizes; its shapes tell all that matters."""
    found, preset, block = _Shapes(shapes, prefix), TextConfig(), "encoder.block.0.layer."
    attention = f"{block}0.SelfAttention."
    gated = f"{block}1.DenseReluDense.wi_0.weight"
    plain = f"{block}1.DenseReluDense.wi.weight"
    axes = {
        "vocab_size": ("shared.weight", 0),
        "width": ("shared.weight", 1),
        "heads": (f"{attention}relative_attention_bias.weight", 1),
        "buckets": (f"{attention}relative_attention_bias.weight", 0),
        "ff_width": (gated if gated in found.shapes else plain, 0),
    }
    config = found.sizes(preset, axes)
    heads = config.heads
    return replace(
        config,
        depth=found.count("encoder.block.", preset.depth),
        head_dim=found.size(f"{attention}q.weight", 0, heads * preset.head_dim) // heads,
        gated=gated in found.shapes,
    )
