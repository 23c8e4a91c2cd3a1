"""The sizes of a model from the shapes of its tensors; a preset gives what shapes do not tell."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from ..config import AudioXConfig, MMDiTConfig, OobleckConfig, SynchformerConfig, TextConfig
from .layout import AUDIO, AUDIO_VAE, DIT, MAF, VAE, VIDEO
from .weight_file import Shape


class Axis(NamedTuple):
    """An axis of a tensor; a missing tensor has the preset's size."""

    name: str
    axis: int
    per: int | str = 1  # the size is a multiple of what is looked for: a number or a field's name
    missing: int | None = None  # size where the tensor is missing; None: the preset's


class Layers(NamedTuple):
    """The count of the layers that are numbered behind a prefix."""

    prefix: str


Table = Mapping[str, Axis | Layers]  # field of a config -> where its size is

DIT_SIZES: Table = {
    "io_channels": Axis("transformer.project_in.weight", 1),
    "width": Axis("transformer.project_in.weight", 0),
    "depth": Layers("transformer.layers."),
    "cond_dim": Axis("to_cond_embed.0.weight", 1),
    "global_dim": Axis("to_global_embed.0.weight", 1, missing=0),
    "time_frequencies": Axis("timestep_features.weight", 0),
}
V1_DIT_SIZES: Table = {
    **DIT_SIZES,
    "ff_mult": Axis("transformer.layers.0.ff.ff.2.weight", 1, per="width"),
}
MMDIT_SIZES: Table = {
    **DIT_SIZES,
    "cond_dim": Axis("transformer.proj_mm_tokens.weight", 1),
    "ff_width": Axis("transformer.layers.0.ffn.w1.weight", 0),
    "kernel": Axis("transformer.layers.0.ffn.w1.weight", 2),
    "positions": Axis("transformer.proj_mm_seq_len.weight", 0),
    "tokens": Axis("transformer.proj_mm_seq_len.weight", 1),
}
MAF_SIZES: Table = {
    "width": Axis("unified_experts", 1),
    "experts": Axis("unified_experts", 0, per=3),
    "depth": Layers("fusion_transformer.layers."),
    "ff_width": Axis("fusion_transformer.layers.0.linear1.weight", 0),
}
CLIP_SIZES: Table = {
    "width": Axis("vision_model.embeddings.class_embedding", 0),
    "depth": Layers("vision_model.encoder.layers."),
    "ff_width": Axis("vision_model.encoder.layers.0.mlp.fc1.weight", 0),
    "patch": Axis("vision_model.embeddings.patch_embedding.weight", 2),
    "projection": Axis("visual_projection.weight", 0),
}
TEMPORAL_SIZES: Table = {
    "depth": Layers("Temp_transformer.layers."),
    "heads": Axis("Temp_transformer.layers.0.0.fn.to_out.0.weight", 1, per="head_dim"),
    "ff_width": Axis("Temp_transformer.layers.0.1.fn.net.0.weight", 0),
}
VIDEO_SIZES: Table = {"frames": Axis("Temp_pos_embedding", 1), "tokens": Axis("proj.weight", 0)}
OOBLECK_SIZES: Table = {
    "io_channels": Axis("encoder.layers.0.weight", 1),
    "channels": Axis("encoder.layers.0.weight", 0),
    "latent_channels": Axis("decoder.layers.0.weight", 1),
}
SYNCHFORMER_SIZES: Table = {
    "width": Axis("cls_token", 2),
    "depth": Layers("blocks."),
    "ff_width": Axis("blocks.0.mlp.fc1.weight", 0),
    "patch": Axis("patch_embed_3d.proj.weight", 3),
    "patch_frames": Axis("patch_embed_3d.proj.weight", 2),
}
_BIAS = "encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight"
TEXT_SIZES: Table = {
    "vocab_size": Axis("shared.weight", 0),
    "width": Axis("shared.weight", 1),
    "depth": Layers("encoder.block."),
    "heads": Axis(_BIAS, 1),
    "head_dim": Axis("encoder.block.0.layer.0.SelfAttention.q.weight", 0, per="heads"),
    "buckets": Axis(_BIAS, 0),
}


_OOBLECK = OobleckConfig()


class _Shapes:
    """Shapes below a prefix."""

    def __init__(self, shapes: Mapping[str, Shape], prefix: str) -> None:
        self.shapes = {k.removeprefix(prefix): v for k, v in shapes.items() if k.startswith(prefix)}

    def size(self, name: str, axis: int, missing: int) -> int:
        shape = self.shapes.get(name, ())
        return shape[axis] if axis < len(shape) else missing

    def count(self, prefix: str, missing: int) -> int:
        """How many layers are numbered behind a prefix."""
        behind = (name.removeprefix(prefix) for name in self.shapes if name.startswith(prefix))
        found = sum(n.isdecimal() for n in {name.partition(".")[0] for name in behind})
        return found or min(missing, len(self.shapes))

    def config(self, preset: Any, table: Table) -> Any:
        """A preset with the sizes that are found; heads keep the preset's width of a head."""
        if not self.shapes:  # a part that the file does not hold
            return preset
        sizes: dict[str, int] = {}
        for field, where in table.items():
            known = getattr(preset, field)
            if isinstance(where, Layers):
                sizes[field] = self.count(where.prefix, known)
                continue
            per = (vars(preset) | sizes)[where.per] if isinstance(where.per, str) else where.per
            missing = known * per if where.missing is None else where.missing
            sizes[field] = self.size(where.name, where.axis, missing) // per
        if "width" in sizes and "heads" not in sizes and hasattr(preset, "heads"):
            sizes["heads"] = max(1, sizes["width"] // (preset.width // preset.heads))
        return replace(preset, **sizes)


def config_from_shapes(shapes: Mapping[str, Shape], preset: AudioXConfig) -> AudioXConfig:
    """Every size that shapes tell; the preset's for the rest, and for what is missing.

    Args:
        shapes: of all tensors of a checkpoint.
        preset: of its variant.
    """
    own = any(name.startswith(VAE) for name in shapes)
    vae = oobleck_sizes(shapes, VAE if own else AUDIO_VAE, preset.vae)  # or in another file
    latent = replace(preset.latent, channels=vae.latent_channels, hop_length=vae.hop_length)
    dit_sizes = MMDIT_SIZES if isinstance(preset.dit, MMDiTConfig) else V1_DIT_SIZES
    config = replace(
        preset,
        latent=latent,
        vae=vae,
        dit=_Shapes(shapes, DIT).config(preset.dit, dit_sizes),
        maf=preset.maf and _Shapes(shapes, MAF).config(preset.maf, MAF_SIZES),
        video=_video(_Shapes(shapes, VIDEO), preset.video),
    )
    audio = _Shapes(shapes, AUDIO)
    if preset.mel is not None:
        mel = audio.config(preset.mel, {"filters": Axis("proj_features.weight", 1)})
        columns = 1 + latent.samples(latent.conditioned_seconds) // mel.hop
        return replace(config, mel=mel, audio_tokens=columns)
    if preset.audio_latents is not None:
        name = "proj_features_128.weight"
        return audio.config(config, {"audio_tokens": Axis(name, 0), "audio_latents": Axis(name, 1)})
    return audio.config(config, {"audio_tokens": Axis("empty_audio_feat", 1)})


def _video(shapes: _Shapes, preset: Any) -> Any:
    tower = _Shapes(shapes.shapes, "visual_encoder_model.")
    clip = tower.config(preset.clip, CLIP_SIZES)
    positions = "vision_model.embeddings.position_embedding.weight"
    patches = tower.size(positions, 0, preset.clip.tokens) - 1
    return replace(
        shapes.config(preset, VIDEO_SIZES),
        clip=replace(clip, image=round(patches**0.5) * clip.patch),
        temporal=shapes.config(preset.temporal, TEMPORAL_SIZES),
    )


def oobleck_sizes(
    shapes: Mapping[str, Shape], prefix: str, preset: OobleckConfig = _OOBLECK
) -> OobleckConfig:
    """The VAE's sizes from its encoder's and decoder's convolutions; else the preset's."""
    # the direction of a weight has its shape
    found = _Shapes({n.removesuffix("_v"): shape for n, shape in shapes.items()}, prefix)
    if not found.shapes:
        return preset
    config = found.config(preset, OOBLECK_SIZES)
    stages = found.count("encoder.layers.", len(preset.strides) + 3) - 3
    multipliers, strides = [], []
    for stage in range(stages):
        name = f"encoder.layers.{stage + 1}.layers.4.weight"
        known = min(stage, len(preset.strides) - 1)  # where the tensor is missing
        width = found.size(name, 0, config.channels * preset.multipliers[known])
        multipliers.append(width // config.channels)
        strides.append(found.size(name, 2, 2 * preset.strides[known]) // 2)
    return replace(config, multipliers=tuple(multipliers), strides=tuple(strides))


def synchformer_sizes(shapes: Mapping[str, Shape], prefix: str) -> SynchformerConfig:
    """The sizes of Synchformer's visual encoder."""
    found, preset = _Shapes(shapes, prefix), SynchformerConfig()
    config = found.config(preset, SYNCHFORMER_SIZES)
    patches = found.size("pos_embed", 1, (preset.image // preset.patch) ** 2 + 1) - 1
    moments = found.size("temp_embed", 1, preset.segment // preset.patch_frames)
    return replace(
        config, image=round(patches**0.5) * config.patch, segment=moments * config.patch_frames
    )


def text_sizes(shapes: Mapping[str, Shape], prefix: str = "") -> TextConfig:
    """A T5 encoder's sizes; its shapes tell all that matters."""
    found, feed_forward = _Shapes(shapes, prefix), "encoder.block.0.layer.1.DenseReluDense."
    gated = f"{feed_forward}wi_0.weight" in found.shapes
    inner = Axis(f"{feed_forward}{'wi_0' if gated else 'wi'}.weight", 0)
    return found.config(TextConfig(gated=gated), {**TEXT_SIZES, "ff_width": inner})
