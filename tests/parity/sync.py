"""How each `sync_*` case is computed: Synchformer, its frames, the video conditioner with both."""

import re

import torch
from einops import rearrange
from torch import Tensor, nn

from audiox_core.checkpoint.layout import shapes_of
from audiox_core.conditioners.video import VideoConditioner
from audiox_core.config import SyncConfig, SynchformerConfig, TemporalConfig, VideoConfig
from audiox_core.media.pixels import resize_frames
from audiox_core.media.video import pad_indices, reference_frame_indices
from audiox_core.models.clip import ClipVision
from audiox_core.models.synchformer import Synchformer, sync_features, sync_pixels

from .fixtures import Case, Outputs, adapter
from .v1 import DISCARDED, empty, filled

PREFIX = "vfeat_extractor."


def make_synchformer(case: Case) -> Synchformer:
    facts, released = case.facts, SynchformerConfig()
    width = facts.get("embed_dim", released.width)
    config = SynchformerConfig(
        width=width,
        depth=facts.get("depth", released.depth),
        heads=facts.get("num_heads", released.heads),
        ff_width=int(facts.get("mlp_ratio", released.ff_width / released.width) * width),
    )
    model = empty(lambda: Synchformer(config))
    return filled(model, case.weights(shapes_of(model), PREFIX))


def waves(rule: str, frames: int, size: int) -> Tensor:
    """The sine of a rule such as `sin(0.05*x + 0.03*y + 0.7*c + 0.4*t + 0.0)`, `f 3 h w`."""
    number = r"\s*(-?[\d.]+)\s*"
    parts = re.search(
        rf"sin\({number}\*x \+{number}\*y \+{number}\*c \+{number}\*t \+{number}\)", rule
    )
    x, y, c, t, shift = (float(part) for part in parts.groups())
    f, channel, pixel = (torch.arange(n, dtype=torch.float64) for n in (frames, 3, size))
    angle = t * f[:, None, None, None] + c * channel[:, None, None]
    return (angle + y * pixel[:, None] + x * pixel + shift).sin()


def stride(case: Case, name: str) -> int:
    """Every how manieth row of an output was recorded."""
    return int(re.search(r"::(\d+)", case.data["outputs"][name])[1])


@adapter("sync_synchformer*")
def synchformer(case: Case) -> Outputs:
    """A whole clip, or one segment step by step."""
    model = make_synchformer(case)
    if "features" in case.tensors:
        video = waves(case.facts["video"], case.facts["frames"], model.config.image)
        return {"features": sync_features(model, ((video + 1) * 127.5).float())}
    video = waves(case.facts["video"], case.facts["frames"], model.config.image).float()
    every = stride(case, "patch_embed_rows")
    segment = rearrange(video, "f c h w -> 1 c f h w").to(model.cls_token.dtype)
    x, block = model.embed(segment), model.blocks[0]
    in_time = block.over_time(x, model.moments)
    in_space = block.over_space(x + in_time, model.moments)
    last = x
    for each in model.blocks:
        last = each(last, model.moments)
    return {
        "out": model(segment)[None],
        "patch_embed_rows": model.patch_embed_3d(segment)[:, ::every],
        "block0_time_attn_rows": in_time[:, ::every],
        "block0_space_attn_rows": in_space[:, ::every],
        "block0_rows": block(x, model.moments)[:, ::every],
        "final_norm_rows": model.norm(last[:, 1:])[:, ::every],
    }


@adapter("sync_video_tail*")
def video_tail(case: Case) -> Outputs:
    facts, shapes = case.facts, case.data["state_dict_shapes"]
    prefix, head_dim = "Temp_transformer.layers.", TemporalConfig().head_dim
    sync = case["sync"]
    config = VideoConfig(
        frames=facts["frames"],
        tokens=shapes["proj.weight"][0],
        temporal=TemporalConfig(
            depth=len({n.split(".")[2] for n in shapes if n.startswith(prefix)}),
            heads=shapes[f"{prefix}0.0.fn.to_out.0.weight"][1] // head_dim,
            ff_width=shapes[f"{prefix}0.1.fn.net.0.weight"][0],
        ),
        sync=SyncConfig(),
    )
    assert config.sync.tokens == shapes["proj_sync.weight"][1] == sync.shape[1]
    model = empty(lambda: VideoConditioner(config, facts["clip_tokens"], nn.Identity()))
    filled(model, case.weights(shapes))
    hidden = rearrange(case["clip_hidden"], "(b f) q d -> b f q d", b=facts["batch"])
    shown, absent = facts["nonzero_sample"], facts["zero_sample"]
    is_absent = torch.arange(facts["batch"]) == absent
    tokens = model.project_states(hidden, sync, is_absent)
    moving = rearrange(hidden[shown], "f q d -> q f d") + model.Temp_pos_embedding
    every = stride(case, "temporal_out_sample")
    case.not_made["returned_mask"] = DISCARDED
    return {
        "tokens": tokens[shown : shown + 1],
        "tokens_empty_rows": tokens[absent : absent + 1, :: stride(case, "tokens_empty_rows")],
        "temporal_out_sample": model.Temp_transformer(moving)[::every, ::every],
    }


@adapter("sync_video_full*")
def video_full(case: Case) -> Outputs:
    config = VideoConfig(sync=SyncConfig())
    model = empty(lambda: VideoConditioner(config, config.clip.tokens, ClipVision(config.clip)))
    filled(model, case.weights(shapes_of(model)))
    rule, size = case.facts["frames"], config.clip.image
    frames = ((waves(rule, config.frames, size) + 1) * 127.5).round().to(torch.uint8)
    (name,) = case.recorded("clip_hidden_frame")
    index = int(name.removeprefix("clip_hidden_frame"))
    return {
        "tokens": model.encode(frames, sync=case["sync"]),
        name: model.clip_states(frames[index : index + 1])[:, :: stride(case, name)],
    }


@adapter("sync_frame_resize*")
def frame_resize(case: Case) -> Outputs:
    resized = resize_frames(case["input_u8"], SynchformerConfig().image)
    case.not_made["bicubic_path_rows"] = "recorded for comparison: the loader stretches before it"
    every = stride(case, "sync_norm_rows")
    return {"resized_u8": resized, "sync_norm_rows": sync_pixels(resized)[:, :, ::every]}


@adapter("sync_frame_index*")
def frame_index(case: Case) -> Outputs:
    """Of this case there is JSON alone: its rows serve as tensors."""
    rows, ours = case.facts["cases"], {}
    for index, row in enumerate(rows):
        count = row["duration"] * row["target_fps"]
        ids = reference_frame_indices(
            row["fps"], row["total_frames"], row["seek"], count, row["target_fps"]
        )
        padded = pad_indices(ids, count)
        found = [*ids[: len(row["first"])], ids[-1], len(ids), len(padded) - len(ids), padded[-1]]
        recorded = [*row["first"], row["last"], row["n_read"], row["n_padded"], row["last"]]
        case.tensors[f"row_{index}"] = torch.tensor(recorded)
        ours[f"row_{index}"] = torch.tensor(found)
    return ours
