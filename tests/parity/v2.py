"""How each case of the later models is computed with our modules: `maf_`, `mmdit_`, `turbo_`.

Sizes come from the case's config.
"""

import re
from functools import partial

import torch
from torch import Tensor, nn

from audiox_core.checkpoint.layout import dit_layout, shapes_of
from audiox_core.conditioners.assemble import fuse
from audiox_core.conditioners.audio import MelAudioConditioner, ProjectedAudioConditioner
from audiox_core.conditioners.masking import random_spans
from audiox_core.config import DiTConfig, MAFConfig, MelConfig, MMDiTConfig
from audiox_core.diffusion.guidance import guided
from audiox_core.diffusion.objectives import OBJECTIVES, Predict
from audiox_core.diffusion.samplers import solve
from audiox_core.models.attention import apply_rotary_pairs, rotary_angles, rotation_of_pairs
from audiox_core.models.dit import DiT, rename_norms
from audiox_core.models.layers import FourierFeatures, embedding_mlp
from audiox_core.models.maf import MAFBlock
from audiox_core.models.mmdit import Block, MMDiT

from .fixtures import Case, Outputs, adapter
from .v1 import DISCARDED, empty, filled

FLOW = OBJECTIVES["rectified_flow"]


def weights_of(case: Case, module: nn.Module) -> dict[str, Tensor]:
    return case.weights(shapes_of(module))


def make_maf(case: Case, config: dict) -> MAFBlock:
    sizes = MAFConfig(
        width=config["dim"],
        experts=config["num_experts_per_modality"],
        heads=config["num_heads"],
        depth=config["num_fusion_layers"],
        ff_width=4 * config["dim"],
    )
    block = empty(lambda: MAFBlock(sizes))
    return filled(block, weights_of(case, block))


def make_mmdit(case: Case, config: dict, tokens: int) -> MMDiT:
    width = config["embed_dim"]
    positions = config.get("_latent_seq_len", config.get("latent_seq_len"))
    sizes = MMDiTConfig(
        io_channels=config["io_channels"],
        width=width,
        depth=config["depth"],
        head_dim=config["num_heads"],  # what the release calls so
        cond_dim=config.get("cond_token_dim", MMDiTConfig.cond_dim),
        global_dim=config.get("global_cond_dim", MMDiTConfig.global_dim),
        ff_width=-(-8 * width // 3 // 256) * 256,
        positions=positions,
        tokens=tokens,
    )
    model = empty(lambda: MMDiT(sizes))
    return filled(model, weights_of(case, model))


@adapter("maf_block_*")
def maf_block(case: Case) -> Outputs:
    block, slots = make_maf(case, case.facts), tuple(case[n] for n in ("first", "second", "third"))
    experts = block.read(slots)
    outputs = dict(zip(("out_first", "out_second", "out_third"), block(*slots), strict=True))
    outputs["gates"] = block.gates(slots)
    if "fused_experts" in case.tensors:
        outputs |= {"experts_after_norm1": experts, "fused_experts": block.fuse(experts)}
    return outputs


@adapter("maf_conditioning_order*")
def maf_conditioning_order(case: Case) -> Outputs:
    block = make_maf(case, case.facts)
    parts = {name: case[name] for name in ("video", "text", "audio")}
    return {"cross_attn_cond": fuse(block, **parts)}


@adapter("maf_dit_*")
def maf_dit(case: Case) -> Outputs:
    facts = case.facts
    sizes = DiTConfig(
        io_channels=facts["io_channels"],
        width=facts["embed_dim"],
        depth=facts["depth"],
        head_dim=facts["embed_dim"] // facts["num_heads"],
        cond_dim=facts["cond_token_dim"],
        global_dim=facts["global_cond_dim"],
    )
    model = empty(lambda: DiT(sizes))
    layout = {k: v for k, v in dit_layout(sizes).items() if not k.endswith("inv_freq")}
    filled(model, rename_norms(case.weights(layout)))
    context = case["context"]
    negative = case["negative_context"] * case["negative_mask"][..., None]
    return _guided_outputs(case, model, context, negative) | {
        "out_nocond_zeros": model(case["x"], case["t"], torch.zeros_like(context))
    }


def _guided_outputs(
    case: Case, model: DiT | MMDiT, context: Tensor, negative: Tensor | None
) -> dict[str, Tensor]:
    """The prediction, and every recorded way to guide it."""
    x, t = case["x"], case["t"]
    outputs = {"out": model(x, t, context)}
    items = range(len(context))
    against_null = model.prepare(context, [*items, *[None] * len(context)])
    for name in case.recorded("out_cfg"):
        cfg, rescale, against = re.fullmatch(r"out_cfg(\d+)(?:_phi([\d.]+))?(_neg)?", name).groups()
        prepared = model.prepare(torch.cat([context, negative])) if against else against_null
        predict = partial(model, context=prepared)
        outputs[name] = guided(predict, (float(cfg),), float(rescale or 0))(x, t)
    return outputs


@adapter("maf_audio_mel*")
def maf_audio_mel(case: Case) -> Outputs:
    facts = case.facts
    mel = MelConfig(
        sample_rate=facts["target_sample_rate"],
        fft=facts["n_fft"],
        hop=facts["hop_length"],
        filters=facts["n_mel_channels"],
    )
    width = case.data["state_dict_shapes"]["proj_features.weight"][0]
    model = empty(lambda: MelAudioConditioner(mel, width))
    filled(model, weights_of(case, model))
    wav, masked = case["wav"], facts["masked_case"]
    log_mel = model.log_mel(wav)
    with torch.random.fork_rng():
        draws = torch.Generator().manual_seed(masked["torch_manual_seed"])
        bounds = facts["mask_ratio_start_default"], facts["mask_ratio_end_default"]
        ((begin, end),) = random_spans(1, log_mel.shape[-1], *bounds, generator=draws)
    assert (begin, end - begin) == (masked["start"], masked["mask_len"])
    hidden = log_mel.clone()
    hidden[..., begin:end] = 0
    case.not_made["returned_mask"] = DISCARDED
    return {
        "log_mel": log_mel,
        "features": model(wav),
        "features_silence_row": model(torch.zeros_like(wav))[:, :1],
        "features_masked": model.project(hidden),
    }


@adapter("mmdit_audio_tail*")
def mmdit_audio_tail(case: Case) -> Outputs:
    facts = case.facts
    latents = case["latents"]
    width = case.data["state_dict_shapes"]["proj_out.weight"][0]
    sizes = latents.shape[1], facts["latent_seq_len"], facts["out_tokens"], width
    model = empty(lambda: ProjectedAudioConditioner(*sizes))
    filled(model, weights_of(case, model))
    rule = facts["masking"]
    draws = torch.Generator().manual_seed(rule["torch_manual_seed"])
    bounds = rule["mask_ratio_start"], rule["mask_ratio_end"]
    items = len(rule["zeroed"])
    spans = random_spans(items, rule["length"], *bounds, generator=draws)
    assert [list(span) for span in spans] == rule["zeroed"]
    again = torch.Generator().manual_seed(rule["torch_manual_seed"])
    ratios = torch.rand(items, generator=again) * (bounds[1] - bounds[0]) + bounds[0]
    return {"tokens": model.project(latents), "mask_ratios": ratios}


@adapter("mmdit_rope*")
def mmdit_rope(case: Case) -> Outputs:
    facts, x = case.facts, case["x"]
    angles = rotary_angles(facts["length"], facts["dim"])
    half = angles[:, : facts["dim"] // 2]
    cos, sin = half.cos(), half.sin()
    rows = torch.stack([torch.stack([cos, -sin], -1), torch.stack([sin, cos], -1)], -2)
    rotation = rotation_of_pairs(angles[: x.shape[2]])
    return {"rot": rows[None], "y": apply_rotary_pairs(x.transpose(1, 2), rotation).transpose(1, 2)}


@adapter("mmdit_timestep*")
def mmdit_timestep(case: Case) -> Outputs:
    features, width = case.facts["features"], case.facts["embed_dim"]
    parts = {
        "timestep_features": lambda: FourierFeatures(features // 2),
        "to_timestep_embed": lambda: embedding_mlp(features, width, bias=True),
    }
    model = empty(lambda: nn.ModuleDict({k: make() for k, make in parts.items()}))
    filled(model, weights_of(case, model))
    found = model["timestep_features"](case["t"])
    return {"fourier": found, "embed": model["to_timestep_embed"](found)}


@adapter("mmdit_block_*")
def mmdit_block(case: Case) -> Outputs:
    facts, x = case.facts, case["x"]
    sizes = MMDiTConfig(
        width=facts["dim"],
        head_dim=facts["head_dim"],
        ff_width=case.data["state_dict_shapes"]["ffn.w1.weight"][0],
        kernel=facts["kernel_size"],
    )
    kernels = {"ops": nn, "attention": MMDiT.__init__.__kwdefaults__["attention"]}
    block = empty(lambda: Block(sizes, **kernels))
    filled(block, weights_of(case, block))
    rotation = rotation_of_pairs(rotary_angles(x.shape[1], facts["head_dim"], x.device))
    modulation = block.modulation(case["cond"]).chunk(6, dim=-1)
    q, k, v = block.attn.queries_keys_values(x, rotation)
    one, three = case["context1"], case["context3"]
    return {
        "attn_q": q,
        "attn_k": k,
        "attn_v": v,
        "cross_attn_ctx1": block.cross_attn(x, one).expand_as(x),
        "cross_attn_ctx3": block.cross_attn(x, three),
        "linear1": block.linear1(x.transpose(1, 2)).transpose(1, 2),
        "ffn": block.ffn(x),
        "out_ctx1": block(x, modulation, one, rotation),
        "out_ctx3": block(x, modulation, three, rotation),
        "out_noctx": block(x, modulation, None, rotation),
    }


@adapter("mmdit_backbone_*")
def mmdit_backbone(case: Case) -> Outputs:
    cond, blocks = case["cond"], []
    model = make_mmdit(case, case.facts, cond.shape[1])
    for layer in model.transformer.layers:
        layer.register_forward_hook(lambda _m, _a, out: blocks.append(out))
    x, t = case["x"], case["t"]
    model(x, t, cond)
    hidden = {f"block{index}_out": out for index, out in enumerate(blocks)}
    negative = None
    if case.has("negative_cond"):
        negative = case["negative_cond"] * case["negative_mask"][..., None]
    projected = (x + model.preprocess_conv(x)).transpose(1, 2)
    return (hidden | _guided_outputs(case, model, cond, negative)) | {
        "out_zeros": model(x, t),
        "timestep_embed": model.to_timestep_embed(model.timestep_features(t)),
        "mm_tokens": model.transformer.spread(cond),
        "project_in": model.transformer.project_in(projected),
    }


@adapter("mmdit_fullwidth_*")
@adapter("turbo_backbone_*")
def mmdit_full(case: Case) -> Outputs:
    case.tensors["t"] = torch.tensor([case.facts["t"]])
    cond = case["cond"]
    return _guided_outputs(case, make_mmdit(case, case.facts, cond.shape[1]), cond, None)


def analytic(x: Tensor, t: Tensor) -> Tensor:
    """The stand-in for a network that the sampler cases give as a formula."""
    channel = torch.arange(x.shape[1], dtype=x.dtype)[:, None]
    frame = torch.arange(x.shape[2], dtype=x.dtype)
    t = t[:, None, None]
    return 0.3 * x * (1 + t) + torch.sin(3 * channel + 0.1 * frame) * torch.cos(2 * t)


def flow(
    predict: Predict, name: str, x: Tensor, sigmas: Tensor, *, noises: tuple[Tensor, ...] = ()
) -> tuple[Tensor, Tensor]:
    """A run, and what the network saw at each step."""
    seen, fresh = [], iter(noises)
    out = solve(
        name,
        FLOW.denoiser(predict),
        x,
        sigmas,
        noise_sampler=lambda *_: next(fresh),
        on_step=lambda _i, z, _denoised: seen.append(z.clone()),
        noised=FLOW.noised,
    )
    return out, torch.stack(seen)


def times(sigmas: Tensor, batch: int) -> Tensor:
    return sigmas[:-1, None].expand(-1, batch)


@adapter("turbo_rf_euler*")
def rf_euler(case: Case) -> Outputs:
    facts, noise, init = case.facts, case["noise"], case["init"]
    outputs = {}
    for prefix, steps, top in (
        ("", facts["steps"], 1.0),
        ("var_", facts["steps"], facts["var_sigma_max"]),
        ("clamped_", facts["clamped"]["steps"], facts["clamped"]["sigma_max"]),
    ):
        sigmas = FLOW.schedule(steps, 0.0, top)
        start = FLOW.noised(init if prefix else 0 * init, noise, sigmas[0].item())
        final, seen = flow(analytic, "euler", start, sigmas)
        made = {"final": final, "traj_x": seen, "traj_t": times(sigmas, len(noise))}
        outputs |= {prefix + k: v for k, v in made.items() if prefix + k in case.tensors}
    return outputs


@adapter("turbo_dmd_sampler*")
def dmd_sampler(case: Case) -> Outputs:
    outputs = {}
    for steps in case.facts["steps"]:
        fresh = tuple(case[f"s{steps}_renoise"]) if steps > 1 else ()
        sigmas = FLOW.schedule(steps, 0.0, 1.0)
        final, seen = flow(analytic, "lcm", case["noise"], sigmas, noises=fresh)
        made = {"z": seen, "t": times(sigmas, len(case["noise"])), "final": final}
        outputs |= {f"s{steps}_{k}": v for k, v in made.items()}
    return outputs


@adapter("turbo_e2e_*")
def e2e(case: Case) -> Outputs:
    facts, noise = case.facts, case["noise"]
    parts = {name: case[name] for name in ("video", "text", "audio")}
    context = fuse(make_maf(case, facts["maf"]), **parts)
    model, steps = make_mmdit(case, facts["backbone"], context.shape[1]), facts["steps"]
    sigmas = FLOW.schedule(steps, 0.0, 1.0)
    fresh = tuple(case[f"renoise_{k}"] for k in range(steps - 1))
    student = partial(model, context=model.prepare(context))
    final, seen = flow(student, "lcm", noise, sigmas, noises=fresh)
    outputs = {"context_head": context[:, ::32, :64], "z": seen, "final": final}
    for name in case.recorded("teacher_euler"):
        count, cfg = map(int, re.fullmatch(r"teacher_euler(\d+)_cfg(\d+)", name).groups())
        items = range(len(context))
        prepared = model.prepare(context, [*items, *[None] * len(context)])
        teacher = guided(partial(model, context=prepared), (cfg,), 0)
        outputs[name], _ = flow(teacher, "euler", noise, FLOW.schedule(count, 0.0, 1.0))
    return outputs
