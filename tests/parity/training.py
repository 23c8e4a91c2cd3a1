"""How the cases of training are computed: `v1_train`, `v1_train_step`, `v1_masking`."""

import re
from math import ceil, isqrt

import torch
from torch import Tensor
from torch.nn.functional import mse_loss

from audiox_core.conditioners.masking import hide_samples, hide_tokens
from audiox_core.config import DiTConfig
from audiox_core.diffusion.objectives import alpha_sigma
from audiox_core.training.clips import pad_crop
from audiox_core.training.config import EmaConfig, OptimConfig
from audiox_core.training.mask_sampler import hidden_patches, hidden_tokens, kept_tokens
from audiox_core.training.objective import diffusion_loss, noised_and_target
from audiox_core.training.optim import ema_decay, learning_rate

from .fixtures import Case, Outputs, adapter
from .v1 import make_dit


@adapter("v1_train*")
def train(case: Case) -> Outputs:
    t = case["t"]
    alpha, sigma = alpha_sigma(t)
    noised, target = noised_and_target(case["x0"], case["noise"], t)
    outputs = {
        "alpha": alpha,
        "sigma": sigma,
        "noised": noised,
        "v_target": target,
        "mse": mse_loss(case["model_output"], target),
        "ema_decay": torch.tensor(
            [ema_decay(k, EmaConfig()) for k in case["ema_steps"].tolist()]
        ).double(),
        "lr": torch.tensor(
            [learning_rate(k, OptimConfig(), 0) for k in case["lr_steps"].tolist()]
        ).double(),
    }
    for name in case.recorded("padcrop_"):
        if name != "padcrop_in":
            outputs[name] = pad_crop(case["padcrop_in"], int(name.removeprefix("padcrop_")))
    clip = case.z("input.train.sig2", (2, 47))
    for name in case.recorded("pcn_"):
        if not name.endswith("_chunk"):
            continue
        samples = int(name.split("_")[1])
        piece = described_crop(clip, samples, sample_rate=10)
        outputs |= {f"pcn_{samples}_{part}": value for part, value in piece.items()}
    return outputs


def described_crop(audio: Tensor, samples: int, *, sample_rate: float) -> dict[str, Tensor]:
    """The first `samples` of `c n`, which of them are sound, and where they lie in it."""
    length = audio.shape[-1]
    total = max(length, samples)
    place = (0.0, samples / total, 0.0, ceil(length / sample_rate))  # shares, then seconds
    return {
        "chunk": pad_crop(audio, samples),
        "mask": (torch.arange(samples) < length).to(audio.dtype),
        "meta": torch.tensor(place, dtype=torch.float64),
    }


@adapter("v1_train_step*")
def train_step(case: Case) -> Outputs:
    facts = case.facts
    sizes = DiTConfig(
        io_channels=facts["io_channels"],
        width=facts["embed_dim"],
        depth=facts["depth"],
        head_dim=facts["embed_dim"] // facts["num_heads"],
        cond_dim=facts["cond_token_dim"],
        global_dim=facts["global_cond_dim"],
    )
    with torch.inference_mode(mode=False), torch.enable_grad():
        model = make_dit(case, sizes).requires_grad_(True)
        inputs = {name: case[name].clone() for name in ("x0", "noise", "cond", "t", "drop")}
        loss, predicted = diffusion_loss(
            model, inputs["x0"], inputs["cond"],
            noise=inputs["noise"], t=inputs["t"], unconditional=inputs["drop"].bool(),
        )  # fmt: skip
        loss.backward()
    released = {"weight": "gamma", "bias": "beta"}
    gradients = {}
    for name, parameter in model.named_parameters():
        path, _, last = name.rpartition(".")
        theirs = f"{path}.{released[last]}" if path.endswith("norm") else name
        gradients[theirs] = parameter.grad
    for name, norm in facts["grad_norms"].items():
        found = gradients[name].norm().item()
        assert abs(found - norm) <= 1e-3 * norm, f"gradient of {name}: {found} for {norm}"
    outputs = {"v": predicted.detach(), "loss": loss.detach()}
    for name in case.recorded("grad."):
        parameter = name.removeprefix("grad.")
        rows = slice(8) if parameter.endswith("_first8") else slice(None)
        outputs[name] = gradients[parameter.removesuffix("_first8")][rows]
    return outputs


@adapter("v1_masking*")
def masking(case: Case) -> Outputs:
    tokens, uniform = case["tokens"], case["uniform"]
    outputs = {}
    for share in (name.removeprefix("drop_mask_") for name in case.recorded("drop_mask_")):
        kept, hidden = kept_tokens(uniform, float(share)), hidden_tokens(uniform, float(share))
        index = kept[..., None].expand(-1, -1, tokens.shape[-1])
        outputs[f"drop_{share}"] = tokens.gather(1, index)
        outputs[f"pad_{share}"] = hide_tokens(tokens, hidden)
        outputs[f"drop_mask_{share}"] = outputs[f"pad_mask_{share}"] = hidden.to(torch.uint8)
    share = float(re.search(r"ratio ([\d.]+)", case.facts["patch"])[1])
    side = isqrt(len(case["patch_perm"]))
    kept_patches = ~hidden_patches(case["patch_perm"], share, side)
    outputs["patch_kept_grid"] = kept_patches.to(torch.uint8)
    audio, shares = case["audio"], 0.25 + case["audio_u"] * (0.75 - 0.25)
    masked = []
    length = audio.shape[-1]
    counts = (shares * length).int().tolist()
    for item, count, begin in zip(audio, counts, case["audio_start"].tolist(), strict=True):
        span = (begin / length, (begin + count) / length)
        masked.append(hide_samples(item, length, (span,)))
    return outputs | {"audio_ratio": shares, "audio_masked": torch.stack(masked)}
