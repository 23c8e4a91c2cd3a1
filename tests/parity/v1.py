"""How each `v1_*` case is computed with our modules. Sizes come from the case's facts."""

import re
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from math import pi
from typing import TypeVar

import torch
from einops import rearrange
from torch import Tensor, nn

from audiox_core.checkpoint.layout import dit_layout, oobleck_layout, shapes_of
from audiox_core.conditioners.assemble import Conditioning, join
from audiox_core.conditioners.audio import AudioConditioner
from audiox_core.conditioners.masking import replace_absent
from audiox_core.conditioners.text import TextConditioner
from audiox_core.conditioners.video import (
    VideoConditioner,
    clip_pixels,
    stretch,
)
from audiox_core.config import (
    ClipConfig,
    DiTConfig,
    LatentConfig,
    OobleckConfig,
    SamplingConfig,
    TemporalConfig,
    TextConfig,
    VideoConfig,
)
from audiox_core.diffusion.guidance import guided
from audiox_core.diffusion.inpaint import soft_mask
from audiox_core.diffusion.objectives import (
    alpha_sigma,
    sigma_to_t,
    v_denoiser,
    v_scalings,
)
from audiox_core.diffusion.samplers import SOLVERS
from audiox_core.diffusion.schedules import polyexponential
from audiox_core.media.audio import peak_normalize, to_int16
from audiox_core.media.pixels import resize_frames
from audiox_core.media.video import pad_indices, reference_frame_indices
from audiox_core.models.clip import ClipVision
from audiox_core.models.dit import DiT, rename_norms
from audiox_core.models.layers import FourierFeatures
from audiox_core.models.oobleck import Oobleck, fold_weight_norm, snake_beta
from audiox_core.models.t5 import T5Encoder
from audiox_core.models.temporal import TemporalTransformer
from audiox_core.pipeline.predictor import predictor
from audiox_core.windows import plan_frames

from .fixtures import Case, Outputs, adapter
from .reference_inpainting import begin_inpainting, crop_paste, is_kept, keep_init_latent

DISCARDED = "the reference discards its attention masks; we make none"


M = TypeVar("M", bound=nn.Module)


def empty(build: Callable[[], M]) -> M:
    """A module without memory, and without a draw from the global generator."""
    with torch.device("meta"):
        return build()


def filled(module: M, state: dict[str, Tensor]) -> M:
    module.load_state_dict(state, assign=True)
    return module.eval()


def make_vae(case: Case, config: dict, prefix: str = "") -> Oobleck:
    encoder = config["encoder"]["config"]
    sizes = OobleckConfig(
        io_channels=encoder["in_channels"],
        channels=encoder["channels"],
        multipliers=tuple(encoder["c_mults"]),
        strides=tuple(encoder["strides"]),
        latent_channels=config["latent_dim"],
    )
    vae = empty(lambda: Oobleck(sizes))
    return filled(vae, fold_weight_norm(case.weights(oobleck_layout(sizes), prefix)))


def make_dit(case: Case, sizes: DiTConfig, prefix: str = "") -> DiT:
    dit = empty(lambda: DiT(sizes))
    layout = {k: v for k, v in dit_layout(sizes).items() if not k.endswith("inv_freq")}
    return filled(dit, rename_norms(case.weights(layout, prefix)))


@adapter("v1_snake*")
def snake(case: Case) -> Outputs:
    return {"y": snake_beta(case["x"], case["alpha"], case["beta"])}


@adapter("v1_vae_*")
def vae(case: Case) -> Outputs:
    model = make_vae(case, case.facts["config"])
    posterior = model.encode(case["audio"])
    outputs = {
        "enc_mean": posterior.mean,
        "enc_scale_raw": posterior.scale,
        "enc_stdev": posterior.std,
        "enc_sample": posterior.sample(case["eps"]),
        "kl": posterior.kl(),
        "dec_audio": model.decode(case["dec_latent"]),
    }
    if "chunk_latent" in case.tensors:
        chunk, overlap = case.facts["chunk_size"], case.facts["overlap"]
        latent = case["chunk_latent"]
        outputs["chunk_dec_audio"] = overlapped(model, latent, chunk, overlap)
        outputs["unchunked_dec_audio"] = model.decode(latent)
    return outputs


def overlapped(model: Oobleck, latent: Tensor, chunk: int, overlap: int) -> Tensor:
    """Decode in overlapping chunks as the original implementation does; ours join exactly."""
    total, hop, parts = latent.shape[-1], model.config.hop_length, []
    starts = [*range(0, total - chunk, chunk - overlap), total - chunk]
    edges = [0, *(start + overlap // 2 for start in starts[1:]), total]
    for start, (begin, end) in zip(starts, pairwise(edges), strict=True):
        decoded = model.decode(latent[..., start : start + chunk])
        parts.append(decoded[..., (begin - start) * hop : (end - start) * hop])
    return torch.cat(parts, dim=-1)


@adapter("v1_brownian*")
def brownian(case: Case) -> Outputs:
    sigmas = case["sigmas"]
    steps = [pair for pair in pairwise(sigmas.tolist()) if pair[1]]
    draw = brownian_noise(torch.zeros(1, 4, 6), steps, case.facts["seed_used"])
    return {"noise": torch.stack([draw(*step) for step in steps])}


def brownian_noise(
    x: Tensor, steps: list[tuple[float, float]], seed: int
) -> Callable[[float, float], Tensor]:
    """The step noise of k-diffusion and ComfyUI: increments of one Brownian motion over sigma.

    Args:
        x: the latent, `b c t`; only its shape counts.
        steps: sigma and next sigma of each step, falling.
        seed: of the motion.

    Returns:
        (sigma, next sigma) -> unit noise `b c t`.
    """
    from torchsde import BrownianTree  # ComfyUI brings it

    tree = BrownianTree(steps[-1][1], torch.zeros(x.shape), steps[0][0], entropy=seed)
    # the motion runs upwards in sigma, the sampler downwards
    return lambda sigma, following: -tree(following, sigma) / (sigma - following) ** 0.5


@adapter("v1_timestep*")
def timestep(case: Case) -> Outputs:
    weight = case["weight"]
    features = filled(empty(lambda: FourierFeatures(len(weight))), {"weight": weight})
    return {"features": features(case["t"])}


@adapter("v1_dit_*")
def dit(case: Case) -> Outputs:
    facts = case.facts
    model = make_dit(
        case,
        DiTConfig(
            io_channels=facts["io_channels"],
            width=facts["embed_dim"],
            depth=facts["depth"],
            head_dim=facts["embed_dim"] // facts["num_heads"],
            cond_dim=facts["cond_token_dim"],
            global_dim=facts["global_cond_dim"],
        ),
    )
    x, t, context = case["x"], case["t"], case["cross_attn_cond"]
    case.inputs |= {"cross_attn_mask", "latent_mask", "neg_cond"}  # not every case uses them
    outputs, hidden = {}, {}
    for index, layer in enumerate(model.transformer.layers):
        layer.register_forward_hook(lambda _m, _a, out, i=index: hidden.__setitem__(i, out))
    outputs["out"] = model(x, t, context)
    for name in case.recorded("hidden_after_layer_"):
        outputs[name] = _hidden(name, dict(hidden))
    outputs["timestep_embed"] = model.to_timestep_embed(model.timestep_features(t))
    outputs["cond_embed"] = model.to_cond_embed(context)
    for name in case.recorded("out_"):
        outputs[name] = _dit_output(case, name, model)
    return outputs


def _hidden(name: str, hidden: dict[int, Tensor]) -> Tensor:
    layer, tokens, channels = re.fullmatch(
        r"hidden_after_layer_(\d+)(?:_first(\d+)tok_first(\d+)ch)?", name
    ).groups()
    out = hidden[int(layer)]
    return out if tokens is None else out[:, : int(tokens), : int(channels)]


def _dit_output(case: Case, name: str, model: DiT) -> Tensor:
    inputs = case["x"], case["t"]
    context = case["cross_attn_cond"]
    nothing = torch.zeros_like(context)
    plain = {
        "out_with_mask": (context,),  # both masks are ignored: we have none to give
        "out_with_latent_mask": (context,),
        "out_nullcond": (nothing,),
        "out_nocond": (),
    }
    if name in plain:
        return model(*inputs, *plain[name])
    if name == "out_global":
        return model(*inputs, context, case["global_embed"])
    cfg, phi, negative = re.fullmatch(
        r"out_cfg([\dp]+)(?:_phi([\dp]+))?(?:_(neg|negmask))?", name
    ).groups()
    negative_context = case["neg_cond"] if negative else nothing
    if negative == "negmask":
        negative_context = negative_context * case["cross_attn_mask"][..., None]
    halves = model.prepare(torch.cat([context, negative_context]))
    return guided(partial(model, context=halves), (_number(cfg),), _number(phi or "0"))(*inputs)


def _number(text: str) -> float:
    return float(text.replace("p", "."))


@adapter("v1_sa_transformer*")
def sa_transformer(case: Case) -> Outputs:
    facts = case.facts
    sizes = TemporalConfig(
        depth=facts["depth"],
        heads=facts["heads"],
        head_dim=facts["dim_head"],
        ff_width=facts["mlp_dim"],
    )
    model = empty(lambda: TemporalTransformer(facts["dim"], sizes))
    return {"y": filled(model, case.weights(shapes_of(model)))(case["x"])}


@adapter("v1_video_tail_*")
def video_tail(case: Case) -> Outputs:
    facts = case.facts
    temporal = TemporalConfig(
        depth=facts["sa_depth"],
        heads=facts["sa_heads"],
        head_dim=facts["sa_dim_head"],
        ff_width=facts["sa_mlp"],
    )
    sizes = VideoConfig(
        frames=facts["T"],
        tokens=facts["out_features"],
        clip=ClipConfig(width=facts["hidden"]),
        temporal=temporal,
    )
    model = empty(lambda: VideoConditioner(sizes, facts["tokens_per_frame"], nn.Identity()))
    filled(model, case.weights(shapes_of(model)))
    hidden = case.z(facts["clip_hidden_input_key"], facts["clip_hidden_shape"])
    if "clip_hidden" in case.tensors:
        hidden = case["clip_hidden"]
    seen = []
    model.Temp_transformer.register_forward_hook(lambda _m, _a, out: seen.append(out))
    tokens = model.temporal_tokens(hidden.unflatten(0, (facts["batch"], -1)))
    case.not_made["mask"] = DISCARDED
    return {
        "out": replace_absent(tokens, model.empty_visual_feat, case["is_zero"].bool()),
        "after_temporal_first2": seen[0][:2, :, :8],
    }


@adapter("v1_video_pixels_*")
def video_pixels(case: Case) -> Outputs:
    rule, clip = case.facts["frames_rule"], case.facts["clip_config"]
    key, size, scale = re.search(
        r"crc32\('(.+?)'\).*?size=\(([\d, ]+)\).*?repeated (\d+)x", rule
    ).groups()
    shape = [int(n) for n in size.split(",")]
    small = torch.from_numpy(case.random(key).randint(0, 256, size=shape)).to(torch.uint8)
    frames = small.repeat_interleave(int(scale), -1).repeat_interleave(int(scale), -2)
    names = ("hidden", "layers", "heads", "mlp", "patch", "image", "projection")
    sizes = ClipConfig(*(_named(clip, name) for name in names))
    config = VideoConfig(frames=len(frames), clip=sizes)
    model = empty(lambda: VideoConditioner(config, sizes.tokens, ClipVision(sizes)))
    filled(model, case.weights(shapes_of(model)))
    seen = []
    model.visual_encoder_model.register_forward_hook(lambda _m, _a, out: seen.append(out))
    out = model.encode(frames)
    case.not_made["mask"] = DISCARDED
    return {
        "out": out,
        "clip_last_hidden_frame0": seen[0][0],
        "pixel_values_frame0_corner": clip_pixels(frames[:1])[0, :, :16, :16],
    }


def _named(text: str, name: str) -> int:
    """The number before or after a word: `hidden 768, 12 layers`."""
    (number,) = (m for m in re.findall(rf"{name} (\d+)|(\d+) {name}", text))
    return int("".join(number))


@adapter("v1_image_input*")
def image_input(case: Case) -> Outputs:
    image = case["image_hwc"].permute(2, 0, 1)
    frame = stretch(image, ClipConfig().image)
    pixels = clip_pixels(frame[None])[0]
    return {
        "clip_pixels_literal": clip_pixels(frame[None] / 255)[0, :, ::16, ::16],  # scaled twice
        "frame0": frame[:, ::4, ::4] / 255,
        "clip_pixels_corrected": pixels[:, ::16, ::16],
    }


@adapter("v1_audio_cond*")
def audio_cond(case: Case) -> Outputs:
    facts = case.facts
    channels = facts["vae_config"]["latent_dim"]
    vae = make_vae(case, facts["vae_config"], "pretransform.model.")
    rule = facts["audio_rule"]
    (gain, key, shape), *_ = re.findall(r"([\d.]+)\*Z\('(.+?)',\(([\d, ]+)\)\)", rule)
    noise_key, noise_shape = re.search(r"eps=Z\('(.+?)',\(([\d, ]+)\)\)", rule).groups()
    audio = float(gain) * case.z(key, [int(n) for n in shape.split(",")])
    noise = case.z(noise_key, [int(n) for n in noise_shape.split(",")])
    for zeroed in re.findall(r"item (\d+) zeroed", rule):
        audio[int(zeroed)] = 0
    width = facts["output_dim"]
    model = empty(lambda: AudioConditioner(channels, noise.shape[-1], width))
    filled(model, case.weights(shapes_of(model)))
    outputs = {"out_sampled": model(audio, vae, noise)}
    if "out_mean" in case.tensors:
        outputs["out_mean"] = model(audio, vae)
        outputs["out_mono_sampled"] = model(audio[:1, :1], vae, noise[:1])
        outputs["audio_first64"] = audio[..., :64]
        case.not_made["mask_shape"] = DISCARDED
    return outputs


@adapter("v1_cond_assembly*")
def cond_assembly(case: Case) -> Outputs:
    order = [name.removesuffix("_prompt") for name in case.facts["order"]]
    assert order == ["video", "text", "audio"]
    case.inputs.add("text_mask")
    case.not_made["cross_attn_mask"] = DISCARDED
    return {"cross_attn_cond": join(**{name: case[name] for name in order})}


@adapter("v1_schedules*")
def schedules(case: Case) -> Outputs:
    specs = case.facts["polyexp_specs[n,sigma_min,sigma_max,rho]"]
    outputs = {}
    for index, (steps, *rest) in enumerate(specs):
        outputs[f"sigmas_{index}"] = sigmas = polyexponential(steps, *rest)
        outputs[f"t_{index}"] = sigma_to_t(sigmas)
    sigma = case["sigma"]
    outputs |= dict(zip(("c_skip", "c_out", "c_in"), v_scalings(sigma), strict=True))
    outputs["sigma_to_t"] = sigma_to_t(sigma)
    (name,) = case.recorded("t_to_sigma_of_")
    times = [_number(n) for n in name.removeprefix("t_to_sigma_of_").split("_")]
    outputs[name] = (torch.tensor(times) * pi / 2).tan()
    gain, slope = re.search(r"([\d.]+)\*tanh\(x\)\+([\d.]+)\*t", _only_fact(case, "vd_")).groups()
    denoise = v_denoiser(lambda x, t: float(gain) * x.tanh() + float(slope) * t[:, None, None])
    pairs = zip(case["vd_x"], sigma.tolist(), strict=True)
    outputs["vd_denoised"] = torch.cat([denoise(x[None], s) for x, s in pairs])
    outputs["alpha"], outputs["sigma_v"] = alpha_sigma(case["t_grid"])
    return outputs


def _only_fact(case: Case, prefix: str) -> str:
    (value,) = (value for name, value in case.facts.items() if name.startswith(prefix))
    return value


@adapter("v1_samplers*")
def samplers(case: Case) -> Outputs:
    mu, start, sigmas, noises = (case[k] for k in ("mu", "x0_unit", "sigmas", "step_noise"))
    swing, pitch = re.search(r"([\d.]+)\*sin\(([\d.]+)\*x", case.facts["denoiser"]).groups()

    def denoise(x: Tensor, sigma: float) -> Tensor:
        s = torch.tensor(sigma)  # float32, as recorded
        return (x + s**2 * mu) / (1 + s**2) + float(swing) * (float(pitch) * x / (1 + s)).sin()

    outputs = {}
    for final in (name for name in case.recorded() if name.endswith(".final")):
        run = final.removesuffix(".final")
        sampler, options = _sampler_options(run)
        trajectory, drawn = [], iter(noises)
        if SOLVERS[sampler].stochastic:
            options |= {"noise_sampler": lambda *_, drawn=drawn: next(drawn)}
        levels = sigmas
        if sampler in FROM_MAX_TO_MIN:
            levels = sigmas.clone()
            levels[0], levels[-2] = case.facts["sigma_max"], case.facts["sigma_min"]
        outputs[final] = SOLVERS[sampler].run(
            denoise,
            start * levels[0],
            levels,
            on_step=lambda _s, x, _c, xs=trajectory: xs.append(x),
            **options,
        )
        if f"{run}.traj" in case.tensors:
            outputs[f"{run}.traj"] = torch.stack(trajectory)
    return outputs


FROM_MAX_TO_MIN = {"dpm_fast", "dpm_adaptive"}  # fed with the two sigmas, not with a list


def _sampler_options(run: str) -> tuple[str, dict]:
    name, heun, eta, s_noise = re.fullmatch(
        r"(.+?)(_heun)?(?:_eta([\dp]+))?(?:_snoise([\dp]+))?", run
    ).groups()
    options = {}
    if heun and name not in SOLVERS:
        name = f"{name}{heun}"
    elif heun:
        options["correction"] = "heun"
    if eta:
        options["eta"] = _number(eta)
    if s_noise:
        options["s_noise"] = _number(s_noise)
    if name in FROM_MAX_TO_MIN:
        options["to_zero"] = False  # recorded before the fix of 11.21
    return name, options


@adapter("v1_t5*")
def t5(case: Case) -> Outputs:
    facts = case.facts["t5_config"]
    sizes = TextConfig(
        vocab_size=facts["vocab_size"],
        width=facts["d_model"],
        depth=facts["num_layers"],
        heads=facts["num_heads"],
        head_dim=facts["d_kv"],
        ff_width=facts["d_ff"],
        gated=facts["feed_forward_proj"].startswith("gated"),
        buckets=facts["relative_attention_num_buckets"],
        max_distance=facts["relative_attention_max_distance"],
    )
    encoder = empty(lambda: T5Encoder(sizes))
    filled(encoder, case.weights(shapes_of(encoder)))
    ids, mask = case["input_ids"].long(), case["attention_mask"]
    conditioner = TextConditioner.__new__(TextConditioner)  # ids are given: no tokenizer
    nn.Module.__init__(conditioner)
    conditioner.encoder = encoder
    out = conditioner(ids, mask)
    return {
        "out": out,
        "mask_out": out.any(dim=-1).to(torch.uint8),  # what is not padding is not zero
        "last_hidden_state": encoder(ids, mask),
    }


@adapter("v1_e2e*")
def e2e(case: Case) -> Outputs:
    facts, sizes = case.facts, case.facts["dit"]
    model = make_dit(
        case,
        DiTConfig(
            io_channels=sizes["io"],
            width=sizes["ed"],
            depth=sizes["depth"],
            head_dim=sizes["ed"] // sizes["heads"],
            cond_dim=sizes["cond"],
            global_dim=sizes["g"],
        ),
        "model.model.",
    )
    vae = make_vae(case, facts["vae_config"], "pretransform.model.")
    positive = join(video=case["video"], text=case["text"], audio=case["audio"])
    sigmas = polyexponential(facts["steps"], facts["sigma_min"], facts["sigma_max"])
    noises, start = case["step_noise"], case["init_noise"]
    outputs = {}
    for run, description in facts["cases"].items():
        sampler, phi = re.search(r"(dpmpp-\dm-sde).*scale_phi ([\d.]+)", description).groups()
        settings = SamplingConfig(cfg=facts["cfg"], cfg_rescale=float(phi.rstrip(".")))
        nothing = torch.zeros_like(positive)
        conditioning = Conditioning(positive, nothing, windows=1)
        windows = plan_frames(LatentConfig(window=start.shape[-1]), start.shape[-1])
        predict = predictor(model, conditioning, settings, windows)
        drawn, xs, estimates = iter(noises), [], []
        latent = SOLVERS[sampler.replace("-", "_")].run(
            v_denoiser(predict),
            start * sigmas[0],
            sigmas,
            noise_sampler=lambda *_, drawn=drawn: next(drawn),
            on_step=lambda _s, x, denoised, xs=xs, es=estimates: (
                xs.append(x),
                es.append(denoised),
            ),
        )
        outputs |= {
            f"{run}.latents": latent,
            f"{run}.x_traj": torch.stack(xs),
            f"{run}.denoised_traj": torch.stack(estimates),
            f"{run}.audio": vae.decode(latent),
        }
        if f"{run}.int16" in case.tensors:
            audio = rearrange(case.tensors[f"{run}.audio"], "b c n -> c (b n)")
            outputs[f"{run}.int16"] = to_int16(peak_normalize(audio))
    return outputs


@adapter("v1_inpaint*")
def inpaint(case: Case) -> Outputs:
    facts, frames = case.facts, case.facts["n"]
    steps = facts["traj"]["steps"]
    outputs = {}
    for index, arguments in enumerate(facts["mask_args"]):
        place = {k: v / 100 * frames for k, v in arguments.items()}
        mask = soft_mask(
            frames,
            place["maskstart"],
            place["maskend"],
            ramp_in=place["softnessL"],
            ramp_out=place["softnessR"],
        )
        outputs[f"mask_{index}"] = mask = mask * (1 - arguments["marination"])
        kept = [is_kept(mask, step, steps) for step in range(steps)]
        outputs[f"bmask_{index}_all_steps"] = torch.stack(kept).to(torch.uint8)
        outputs[f"pasted_init_{index}"] = crop_paste(
            case["init_audio"][None, :, :frames],
            place["cropfrom"],
            place["pastefrom"],
            place["pasteto"],
        )
    return outputs | _inpaint_runs(case, outputs[facts["traj"]["mask"]])


def _inpaint_runs(case: Case, mask: Tensor) -> Outputs:
    names = ("traj_noise", "traj_init_latent", "traj_mu", "traj_step_noise", "traj_cb_noise")
    noise, init_latent, mu, step_noises, redraws = (case[name] for name in names)
    settings = case.facts["traj"]
    gain, pull = re.search(r"([\d.]+)\*tanh\(x\).*?-([\d.]+)\*mu", settings["v_model"]).groups()

    def predict(x: Tensor, t: Tensor) -> Tensor:
        t = t[:, None, None]
        return float(gain) * x.tanh() * t.cos() - float(pull) * mu * t

    def run(start: Tensor, sigmas: Tensor, on_step: Callable) -> Tensor:
        drawn = iter(step_noises)
        solver = SOLVERS[settings["sampler"].replace("-", "_")]
        noise = {"noise_sampler": lambda *_: next(drawn)}
        return solver.run(v_denoiser(predict), start, sigmas, on_step=on_step, **noise)

    steps, low = settings["steps"], settings["sigma_min"]
    sigmas = polyexponential(steps, low, settings["sigma_max"])
    again, seen = iter(redraws), []
    hold = keep_init_latent(init_latent, mask, sigmas, lambda: next(again))

    def on_step(step: int, x: Tensor, denoised: Tensor) -> None:
        hold(step, x, denoised)
        seen.append(x.clone())

    final = run(begin_inpainting(init_latent, noise, mask, sigmas), sigmas, on_step)
    level = float(re.search(r"init_noise_level=([\d.]+)", case.facts["variation"])[1])
    weak = polyexponential(steps, low, level)
    return {
        "traj_final": final,
        "traj_x_after_callback": torch.stack(seen),
        "variation_final": run(init_latent + noise * weak[0], weak, lambda *_: None),
    }


@adapter("v1_video_io*")
def video_io(case: Case) -> Outputs:
    for row in case.facts["rows"]:
        count = row["out_shape"][0]
        ids = reference_frame_indices(
            row["fps"], row["total_frames"], row["seek"], count, row["target_fps"]
        )
        assert ids == row["frame_ids"], row
        shown = [index % 251 for index in pad_indices(ids, count)]
        assert shown == row["final_frame_values_mod251"], row
    key, size = re.search(
        r"crc32\('(.+?)'\).*?size=\(([\d, ]+)\)", case.facts["big_input_rule"]
    ).groups()
    shape = [int(n) for n in size.split(",")]
    big = torch.from_numpy(case.random(key).randint(0, 256, size=shape)).to(torch.uint8)
    side = case.tensors["resize_out_small"].shape[-1]
    return {
        "resize_out_small": resize_frames(case["resize_in_small"], side),
        "resize_out_big": resize_frames(big, side),
    }
