"""Patches of other nodes inside the transformer: blocks and attention that are replaced.

Nodes leave them in `transformer_options`, some of them inside a guidance function, so that only the
forward sees them.

Axes: `b` batch, `h` heads, `l` sequence, `d` dims of a head.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from einops import rearrange
from torch import Tensor, nn

from ...audiox_core.errors import SettingsError
from ...audiox_core.models.attention import AttentionFn
from ...audiox_core.models.backbone import BlockHook, run_block
from .refused import check_options, refuse_patch

DOUBLE, SINGLE = "double_block", "single_block"
MIDDLE = ("middle", 0)  # of a U-Net, whose self attention PerturbedAttentionGuidance replaces
PASS_VALUES = "stg_self_attn_blocks"  # of LTXVSpatioTemporalGuidance: indices of blocks
OF_EACH_PART = ("cond_or_uncond", "uuids")  # entries with one item for each part of a batch

Options = Mapping[str, Any]


def options_of_parts(options: Options, parts: Sequence[int]) -> Options:
    """`transformer_options` of a batch of these parts of ComfyUI's batch.

    A long sound is computed in groups of windows, each a batch of its own.
    """
    own = {k: [options[k][part] for part in parts] for k in OF_EACH_PART if options.get(k)}
    return {**options, **own}


def block_hooks(options: Options, names: Mapping[str, str], depth: int) -> dict[int, BlockHook]:
    """What replaces blocks of the transformer, by their index.

    Args:
        options: `transformer_options`.
        names: the host's names of a block's inputs -> ours.
        depth: number of blocks.

    Raises:
        SettingsError: a patch that cannot work; the sentence names it and its node.
    """
    _check(options, depth)
    replaced = options.get("patches_replace", {})
    hooks: dict[int, BlockHook] = {
        index: _replaced_block(patch, options, names)
        for (kind, index), patch in replaced.get("dit", {}).items()
        if kind == DOUBLE
    }
    kernels = dict.fromkeys(options.get(PASS_VALUES, ()), _pass_values)
    if (patch := replaced.get("attn1", {}).get(MIDDLE)) is not None:
        kernels[depth // 2] = _replaced_attention(patch, options)
    for index, kernel in kernels.items():
        hooks[index] = partial(_with_attention, kernel, hooks.get(index))
    return hooks


def _check(options: Options, depth: int) -> None:
    for key, patches in options.get("patches", {}).items():
        for patch in patches:
            refuse_patch(key, patch)
    for kind, blocks in options.get("patches_replace", {}).items():
        if kind == "dit":
            _check_blocks(blocks, depth)
            continue
        for block, patch in blocks.items():
            if (kind, block) != ("attn1", MIDDLE):
                refuse_patch(f"{kind} {block}", patch)
    _check_indices("block", options.get(PASS_VALUES, ()), depth)
    check_options(options)


def _check_blocks(blocks: Mapping[Any, Any], depth: int) -> None:
    """Other kinds than double blocks are ignored beside them: nodes for all models name both."""
    there = [block for block in blocks if block[0] == DOUBLE]
    for kind, index in there or blocks:
        if kind not in (DOUBLE, SINGLE):
            refuse_patch(f"dit {(kind, index)}", blocks[kind, index])
    _check_indices(DOUBLE if there else SINGLE, [b[1] for b in there or blocks], depth)


def _check_indices(kind: str, indices: Iterable[int], depth: int) -> None:
    there = "blocks" if kind == "block" else "double layers"  # the widget of the usual node
    for index in indices:
        if kind == SINGLE or not 0 <= index < depth:
            raise SettingsError(
                f"A node (skip layer guidance?) asks for {kind} {index}, but this model has only "
                f"the double blocks 0 to {depth - 1}: enter some of these numbers there, as "
                f"{there}."
            )


def _replaced_block(patch: Any, options: Options, names: Mapping[str, str]) -> BlockHook:
    """A replacement in ComfyUI's protocol: a dictionary in, a dictionary with `img` out."""

    def hook(block: nn.Module, inputs: Mapping[str, Any]) -> Tensor:
        def original(args: Mapping[str, Any]) -> dict[str, Tensor]:
            given = {ours: args[theirs] for theirs, ours in names.items()}
            return {"img": block(**{**inputs, **given})}

        given = {theirs: inputs[ours] for theirs, ours in names.items()}
        args = {"vec": None, **given, "transformer_options": options}
        return patch(args, {"original_block": original})["img"]

    return hook


def _replaced_attention(patch: Any, options: Options) -> AttentionFn:
    """A replacement of self attention as U-Nets call it: `b l (h d)` in and out."""

    def kernel(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        sizes = {"n_heads": q.shape[1], "dim_head": q.shape[-1], "attn_precision": None}
        flat = (rearrange(t, "b h l d -> b l (h d)") for t in (q, k, v))
        return patch(*flat, {**options, **sizes, "block": MIDDLE})

    return kernel


def _pass_values(_q: Tensor, _k: Tensor, v: Tensor) -> Tensor:
    return rearrange(v, "b h l d -> b l (h d)")


def _with_attention(
    kernel: AttentionFn, hook: BlockHook | None, block: nn.Module, inputs: Mapping[str, Any]
) -> Tensor:
    return run_block(block, hook, **{**inputs, "attention": kernel})
