"""Which model a file holds, and its sizes: from its header, its tensors, and what lies around it.

A file that this project wrote says all in its header. Of a released one the tensors tell the sizes
and mostly the variant; three variants look alike, and are told apart by the release's config.json,
the file's name, what the model does with pure noise, or the user.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..config import (
    AudioXConfig,
    ClipConfig,
    DiTConfig,
    LatentConfig,
    MAFConfig,
    MelConfig,
    MMDiTConfig,
    OobleckConfig,
    SynchformerConfig,
    TemporalConfig,
    TextConfig,
    VideoConfig,
)
from ..errors import WeightsError
from ..hub import MODELS
from ..variants import ALIKE, VARIANTS
from .companions import fetch_again, fetch_command, models_folder
from .layout import AUDIO, AUDIO_VAE, DIT, MAF, VAE, VIDEO
from .weight_file import Shape, WeightFile

LORA = (
    "a LoRA, which changes a model and is none (give it with --lora FILE beside --checkpoint; in "
    "ComfyUI put it into models/loras and connect a LoRA loader behind the model)"
)
STRANGERS = (  # part of a key -> what such a file is; the specific before the broad
    ("lora_", LORA),
    (".lora.", LORA),
    ("hada_w1", LORA),
    ("lokr_w1", LORA),
    ("diffusion_ema.", "a raw AudioX training state, not the exported model"),
    ("model.diffusion_model.", "a Stable Diffusion checkpoint"),
    ("vfeat_extractor.", "Synchformer (it lies beside the model, nobody loads it alone)"),
    ("encoder.block.", "a T5 text encoder (give it as the text encoder)"),
    ("decoder.layers.", "an audio VAE alone (give it as the VAE)"),
    ("vision_model.", "a CLIP vision model"),
)
WITHIN = ("an audio VAE", "a CLIP vision model", "Synchformer")  # parts of a whole model too

# parts of a file's or folder's name -> the variant; the specific before the broad
NAMES = (
    ("pretrained_ckpt", "audiox-base"),
    ("audiox-base", "audiox-base"),
    ("audiox_base", "audiox-base"),
    ("teacher", "audiox-base"),
    ("turbo", "audiox-turbo"),
    ("mmdit", "audiox-maf-mmdit"),
)

Probe = Callable[[AudioXConfig], str]  # a config with its sizes -> the objective


def detect(
    file: WeightFile, config_json: Path | None = None, *,
    variant: str | None = None, probe: Probe | None = None,
) -> tuple[AudioXConfig, str]:  # fmt: skip
    """The config of the model in a file, and where it was found.

    Args:
        file: whatever the user named.
        config_json: of the original release; overrides what shapes cannot tell.
        variant: what the user says it is; must not contradict what is known.
        probe: asks the model itself for its objective, where nothing else tells; it is slow.

    Raises:
        WeightsError: the file holds no AudioX model, or it stays open which one; the message says
            what it looks like and what to do.
    """
    if hollow := next((name for name, shape in file.shapes.items() if 0 in shape), None):
        raise WeightsError(
            f"{file.path.name} holds '{hollow}' without numbers: get the file again."
        )
    if variant is not None and variant not in VARIANTS and "audiox" not in file.header:
        raise WeightsError(
            f"There is no variant {variant!r}: choose one of {', '.join(VARIANTS)}, or none."
        )
    if (header := file.header.get("audiox")) is not None:
        config, source = _of_header(file, header, variant), "the file's header"
    else:
        _check_family(file)
        config, source = _of_tensors(file, config_json, variant, probe)
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


def _of_header(file: WeightFile, header: str, variant: str | None) -> AudioXConfig:
    try:
        config = AudioXConfig.from_json(header)
    except ValueError as error:
        raise WeightsError(
            f"{file.path.name} has a header of another version of this pack ({error}): "
            "update the pack or convert the file again."
        ) from error
    if variant not in (None, config.variant):
        raise _contradiction(file, variant, f"its header says {config.variant}")
    return config


def _contradiction(file: WeightFile, variant: str, why: str) -> WeightsError:
    get = ""
    if variant in MODELS:
        folder = models_folder(file.path) / MODELS[variant].folder
        get = f", or get that model into {folder} with `{fetch_command(variant, file.path)}`"
    return WeightsError(
        f"{file.path} was declared as {variant}, but {why}: leave --variant (variant in the "
        f"loader node) out{get}."
    )


def _check_family(file: WeightFile) -> None:
    names = file.shapes
    stranger = next((what for part, what in STRANGERS if any(part in n for n in names)), None)
    ours = any(n.startswith((DIT, VIDEO, AUDIO)) for n in names)
    if ours and (stranger is None or stranger.startswith(WITHIN)):
        return
    first = next(iter(names), "nothing")
    looks = f"it looks like {stranger}" if stranger else f"its first tensor is '{first}'"
    raise WeightsError(
        f"{file.path.name} holds no AudioX model: {looks}. Choose AudioX's model.ckpt or "
        "model.safetensors (`python -m audiox_core fetch audiox` puts it into models/audiox), or "
        "leave --checkpoint out for the embedded one."
    )


def _of_tensors(
    file: WeightFile, config_json: Path | None, variant: str | None, probe: Probe | None
) -> tuple[AudioXConfig, str]:
    """A released file's config: the sizes from its tensors, the rest from its variant's preset."""
    possible = fitting(file)
    hints = [
        ("config.json", _by_config(config_json)),
        ("the file's name", _by_name(file.path)),
    ]
    left, used = set(possible), ["the tensors' shapes"]
    for what, said in hints:
        if len(left) > 1 and left & said != left and left & said:
            left, used = left & said, [*used, what]
    if variant is not None:
        if variant not in possible:
            raise _contradiction(file, variant, f"its tensors are those of {' or '.join(possible)}")
        if variant not in left:
            raise _contradiction(file, variant, f"{used[-1]} says {' or '.join(sorted(left))}")
        left, used = {variant}, [*used, "what was asked for"]
    if len({VARIANTS[name].objective for name in left}) > 1 and probe is not None:
        objective = probe(config_from_shapes(file.shapes, possible[0]))
        left = {name for name in left if VARIANTS[name].objective == objective}
        used.append("what it does with pure noise")
    if len(left) > 1:
        raise WeightsError(
            f"{file.path} may be {' or '.join(sorted(left))}: their tensors look alike. Say "
            f"--variant {' or --variant '.join(sorted(left))} (variant in the loader node), or "
            f"keep the folder that {fetch_again(file.path)} makes for it."
        )
    (name,) = left
    used.append(f"the preset of {name}")
    return config_from_shapes(file.shapes, name), ", ".join(used)


def fitting(file: WeightFile) -> tuple[str, ...]:
    """The variants that a file's tensors fit."""
    if not file.below(MAF):
        return ("audiox",)
    mmdit = f"{DIT}transformer.layers.0.attn.qkv.weight" in file.shapes
    return ALIKE if mmdit else ("audiox-maf",)


def _by_config(config_json: Path | None) -> set[str]:
    """The variants that a release's config.json fits."""
    if config_json is None:
        return set()
    try:
        diffusion = _read_config(config_json).get("model", {}).get("diffusion", {})
        objective = diffusion.get("diffusion_objective", diffusion.get("objective"))
    except AttributeError as error:
        raise _no_config(config_json, error) from error
    return {name for name in ALIKE if VARIANTS[name].objective == objective}


def _by_name(path: Path) -> set[str]:
    """The variant that a file's own name tells, else its folder's."""
    for name in (path.name, path.absolute().parent.name):
        if found := next((variant for part, variant in NAMES if part in name.lower()), None):
            return {found}
    return set()


def config_from_shapes(shapes: Mapping[str, Shape], variant: str = "audiox") -> AudioXConfig:
    """Every size that shapes tell; the variant's for the rest, and for what is missing."""
    preset = VARIANTS[variant]
    own = any(name.startswith(VAE) for name in shapes)
    vae = oobleck_from_shapes(shapes, VAE if own else AUDIO_VAE)  # else it has a file of its own
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
        mel = _mel(audio, preset.mel)
        columns = 1 + latent.samples(latent.conditioned_seconds) // mel.hop
        return replace(config, mel=mel, audio_tokens=columns)
    if preset.audio_latents is not None:
        tokens, latents = (
            audio.size("proj_features_128.weight", axis, default)
            for axis, default in enumerate((preset.audio_tokens, preset.audio_latents))
        )
        return replace(config, audio_tokens=tokens, audio_latents=latents)
    return replace(config, audio_tokens=audio.size("empty_audio_feat", 1, preset.audio_tokens))


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


def _backbone(shapes: _Shapes, preset: DiTConfig | MMDiTConfig) -> DiTConfig | MMDiTConfig:
    return (_mmdit if isinstance(preset, MMDiTConfig) else _dit)(shapes, preset)


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


def _mmdit(shapes: _Shapes, preset: MMDiTConfig) -> MMDiTConfig:
    layer = "transformer.layers.0."
    return replace(
        preset,
        io_channels=shapes.size("transformer.project_in.weight", 1, preset.io_channels),
        width=shapes.size("transformer.project_in.weight", 0, preset.width),
        depth=shapes.count("transformer.layers.", preset.depth),
        cond_dim=shapes.size("transformer.proj_mm_tokens.weight", 1, preset.cond_dim),
        global_dim=shapes.size("to_global_embed.0.weight", 1, 0),
        ff_width=shapes.size(f"{layer}ffn.w1.weight", 0, preset.ff_width),
        kernel=shapes.size(f"{layer}ffn.w1.weight", 2, preset.kernel),
        positions=shapes.size("transformer.proj_mm_seq_len.weight", 0, preset.positions),
        tokens=shapes.size("transformer.proj_mm_seq_len.weight", 1, preset.tokens),
        time_frequencies=shapes.size("timestep_features.weight", 0, preset.time_frequencies),
    )


def _maf(shapes: _Shapes, preset: MAFConfig) -> MAFConfig:
    width = shapes.size("unified_experts", 1, preset.width)
    layer = "fusion_transformer.layers."
    return MAFConfig(
        width=width,
        experts=shapes.size("unified_experts", 0, 3 * preset.experts) // 3,
        heads=max(1, width // (preset.width // preset.heads)),
        depth=shapes.count(layer, preset.depth),
        ff_width=shapes.size(f"{layer}0.linear1.weight", 0, preset.ff_width),
    )


def _mel(shapes: _Shapes, preset: MelConfig) -> MelConfig:
    return replace(preset, filters=shapes.size("proj_features.weight", 1, preset.filters))


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


def synchformer_from_shapes(shapes: Mapping[str, Shape], prefix: str) -> SynchformerConfig:
    """The sizes of Synchformer's visual encoder."""
    found, preset = _Shapes(shapes, prefix), SynchformerConfig()
    width = found.size("cls_token", 2, preset.width)
    patch = found.size("patch_embed_3d.proj.weight", 3, preset.patch)
    places = found.size("pos_embed", 1, (preset.image // preset.patch) ** 2 + 1) - 1
    patch_frames = found.size("patch_embed_3d.proj.weight", 2, preset.patch_frames)
    return replace(
        preset,
        width=width,
        depth=found.count("blocks.", preset.depth),
        heads=max(1, width // (preset.width // preset.heads)),
        ff_width=found.size("blocks.0.mlp.fc1.weight", 0, preset.ff_width),
        patch=patch,
        patch_frames=patch_frames,
        image=round(places**0.5) * patch,
        segment=found.size("temp_embed", 1, preset.segment // preset.patch_frames) * patch_frames,
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


def _read_config(path: Path) -> dict[str, Any]:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise _no_config(path, error) from error
    if not isinstance(data, dict):
        raise _no_config(path, TypeError("it is no table"))
    return data


def _no_config(path: Path, error: Exception) -> WeightsError:
    return WeightsError(
        f"{path} is no config.json of an AudioX release ({error}): "
        "take the one that lies beside model.ckpt, or leave it out."
    )


def _override(config: AudioXConfig, path: Path) -> AudioXConfig:
    """What a released config.json says beyond the shapes: rate, lengths, frame rate, heads."""
    data = _read_config(path)
    try:
        dit = data.get("model", {}).get("diffusion", {}).get("config", {})
        latent: LatentConfig = config.latent
        latent = replace(
            latent,
            sample_rate=int(data.get("sample_rate", latent.sample_rate)),
            window=int(data.get("sample_size", latent.window * latent.hop_length))
            // latent.hop_length,
        )
        heads = int(dit.get("num_heads", 0))
        if heads:  # what an MMDiT's release calls so is the width of a head
            head_dim = heads if isinstance(config.dit, MMDiTConfig) else config.dit.width // heads
            config = replace(config, dit=replace(config.dit, head_dim=head_dim))
        return replace(
            config,
            latent=latent,
            video=replace(config.video, fps=float(data.get("video_fps", config.video.fps))),
        ).checked()
    except (ValueError, AttributeError, TypeError, ArithmeticError) as error:
        raise _no_config(path, error) from error
