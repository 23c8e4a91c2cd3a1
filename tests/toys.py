"""Models of the family at toy size, with seeded random weights in the released layout.

They go through the same code as released checkpoints and generate noise.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer
from torch import Tensor

from audiox_core.checkpoint.layout import (
    AUDIO,
    AUDIO_VAE,
    SYNC,
    SYNC_ENCODER,
    TEXT,
    VAE,
    released_layout,
    shapes_of,
    synchformer_layout,
)
from audiox_core.config import (
    AudioXConfig,
    ClipConfig,
    DiTConfig,
    MAFConfig,
    MelConfig,
    MMDiTConfig,
    OobleckConfig,
    SamplingConfig,
    SyncConfig,
    SynchformerConfig,
    TemporalConfig,
    TextConfig,
    VideoConfig,
)
from audiox_core.hub.models import MODELS, OPTIONAL
from audiox_core.lab.from_scratch.tokenizer import train_tokenizer
from audiox_core.models.t5 import T5Encoder
from audiox_core.variants import VARIANTS

WORDS = """
a an the of in on at and with from to for over under into near far while then music sound noise
general audio video generate rain wind thunder storm waves ocean crashing water drops river fire
crackle footsteps snow gravel wood floor door creaks slams opens keyboard typing clock ticking
bell rings glass breaks shatters metal clang hammer engine car motor starts accelerates passes
train whistle plane helicopter siren horn traffic street crowd people talking laughing cheering
applause clapping child baby cries man woman voice sings whispers shouts dog barks cat meows bird
chirps crow rooster horse gallops cow sheep insects crickets bee buzzes frog ball bounces bat hits
drum drums beat kick snare cymbal bass guitar acoustic electric piano violin cello strings flute
trumpet brass organ harp synth melody chord upbeat slow fast calm dark bright happy sad epic
dreamy lo-fi orchestral jazz rock pop techno ambient electronic dance party fantasy world vinyl
distant loud soft
"""

CONFIG = AudioXConfig(
    variant="audiox-toy",
    note="these weights are random: what you hear is noise, only its length and its path are real",
    vae=OobleckConfig(channels=8),
    dit=DiTConfig(
        width=128, depth=4, head_dim=32, cond_dim=64, global_dim=128, time_frequencies=32
    ),
    video=VideoConfig(
        clip=ClipConfig(width=64, depth=2, heads=2, ff_width=128, projection=32),
        temporal=TemporalConfig(depth=1, heads=2, head_dim=32, ff_width=128),
    ),
    text=TextConfig(vocab_size=512, width=64, depth=2, heads=2, head_dim=32, ff_width=128),
    sampling=SamplingConfig(steps=50),
)


# small predictions keep the latents near unit variance under guidance; the decoder's last gain
# brings the sound to about -18 dB full scale
GAINS = {
    "project_out.weight": 0.1,
    "process_conv.weight": 0.1,
    "decoder.layers.7.weight_g": 0.003,
}


# learned tokens and positions of the later models
SMALL = ("unified_experts", "cls_token", "pos_embed", "temp_embed", "sync_weight")


def make_tokenizer() -> Tokenizer:
    """Like T5's: pieces of words, `</s>` at the end, `<unk>` for what it does not know."""
    return train_tokenizer(WORDS.split(), CONFIG.text.vocab_size)


def tiny(variant: str) -> AudioXConfig:
    """A model of the family at toy size: what the variant is, with the toy's widths."""
    released, small = VARIANTS[variant], CONFIG
    if variant == "audiox":
        return replace(small, variant=variant)
    width = small.dit.cond_dim
    encoder = SynchformerConfig(width=width, depth=1, heads=2, ff_width=128, image=32)
    if isinstance(released.dit, MMDiTConfig):
        dit = MMDiTConfig(
            width=64, depth=2, head_dim=16, cond_dim=width, global_dim=width, ff_width=128,
            time_frequencies=32,
        )  # fmt: skip
    else:
        dit = replace(small.dit, depth=2, global_dim=width)
    return replace(
        released,
        note=small.note,
        vae=small.vae,
        dit=dit,
        maf=MAFConfig(width=width, experts=4, heads=2, depth=1, ff_width=128),
        video=replace(small.video, sync=SyncConfig(encoder=encoder)),
        text=small.text,
        mel=released.mel and MelConfig(filters=32),
    ).checked()


def write(config: AudioXConfig, path: Path) -> Path:
    """A checkpoint that brings all its parts, with random weights."""
    tokenizer = make_tokenizer()
    header = {"format": "pt", "audiox": config.to_json(), "tokenizer": tokenizer.to_str()}
    save_file(make_weights(tokenizer.get_vocab_size(), config), path, metadata=header)
    return path


def release(variant: str, models: Path) -> Path:
    """A tiny model in the files and folders that `fetch` brings, T5 too; the model's own file."""
    config = tiny(variant)
    if isinstance(config.dit, MMDiTConfig):  # a bare file does not tell the width of a head
        config = replace(config, dit=replace(config.dit, width=72, head_dim=24))
    tokenizer = make_tokenizer()
    state = make_weights(tokenizer.get_vocab_size(), config)
    release, t5 = MODELS[variant], models / MODELS["t5-base"].folder
    t5.mkdir(parents=True, exist_ok=True)
    save_file(_take(state, TEXT), t5 / "model.safetensors")
    tokenizer.save(str(t5 / "tokenizer.json"))
    sync = _take(state, SYNC)
    vae = {n.removeprefix(VAE): tensor for n, tensor in state.items() if n.startswith(VAE)}
    if f"{AUDIO}proj_features.weight" not in state:  # prompts go through a VAE of their own
        state |= {AUDIO_VAE + name: tensor.clone() for name, tensor in vae.items()}
    folder = models / release.folder
    folder.mkdir(parents=True, exist_ok=True)
    for name in (file.name for file in release.files if file.name != OPTIONAL):
        content = sync if "synchformer" in name else vae if "vae" in name.lower() else state
        torch.save({"state_dict": content}, folder / name)
    return folder / release.files[0].name


def _take(state: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Move what lies below a prefix out of a table."""
    return {n.removeprefix(prefix): state.pop(n) for n in [*state] if n.startswith(prefix)}


def make_weights(vocab_size: int, config: AudioXConfig = CONFIG) -> dict[str, Tensor]:
    """Random tensors in the released layout, by name and seed 0."""
    with torch.device("meta"):
        text = shapes_of(T5Encoder(config.text))
    layout = released_layout(config, prompt_vae=False)
    layout |= {f"text_encoder.{name}": shape for name, shape in text.items()}
    layout["text_encoder.shared.weight"] = (vocab_size, config.text.width)
    if config.video.sync is not None:
        layout |= synchformer_layout(config.video.sync.encoder, SYNC + SYNC_ENCODER)
    layout.pop("model.model.transformer.rotary_pos_emb.inv_freq", None)  # computed
    random = np.random.RandomState(0)
    return {name: _tensor(name, layout[name], random).half() for name in sorted(layout)}


def _tensor(name: str, shape: tuple[int, ...], random: np.random.RandomState) -> Tensor:
    z = torch.from_numpy(random.standard_normal(shape).astype(np.float32))
    last = name.rpartition(".")[2]
    if last in {"weight_g", "gamma"} or (last == "weight" and "norm" in name.split(".")[-2]):
        out = torch.ones(shape)
    elif (last in {"alpha", "beta"} and "pretransform" in name) or last in SMALL:
        out = 0.1 * z
    elif last.startswith(("empty_", "Temp_pos")) or name.endswith("shared.weight"):
        out = z
    elif len(shape) < 2:
        out = torch.zeros(shape)
    else:
        out = z / np.sqrt(np.prod(shape[1:]))
    return out * next((gain for end, gain in GAINS.items() if name.endswith(end)), 1.0)
