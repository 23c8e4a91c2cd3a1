"""The guided network at one step: eager, as a CUDA graph, compiled; what it waits for."""

from collections.abc import Callable

import torch
from torch import Tensor

from audiox_core.pipeline.accelerate import compiled_blocks
from audiox_core.pipeline.predictor import predictor
from audiox_core.windows import plan_frames

from .bench import Bench, Row, precision
from .device import capture, host_waits, profile
from .models import MAF, MMDIT, TURBO, V1, Zoo

VARIANTS = (V1, TURBO, MMDIT, MAF)


def make_step(
    zoo: Zoo, variant: str, precision: str, batch: int = 1, windows: int = 1
) -> tuple[Callable[[Tensor, Tensor], Tensor], Tensor, Tensor]:
    """The guided network of a run and what it is called with: x `b c t`, t `b`."""
    config = zoo.config(variant)
    grid = config.latent
    frames = grid.window + (windows - 1) * 193
    plan = plan_frames(grid, frames)
    model, given = zoo.backbone(variant, precision), zoo.conditioning(variant, windows)
    step = predictor(model, given, config.sampling, plan)
    x = torch.randn(batch, grid.channels, frames, generator=torch.Generator().manual_seed(1))
    x = x.to(zoo.device)
    return step, x, torch.full((batch,), 0.5, device=zoo.device)


def run(bench: Bench, zoo: Zoo) -> None:
    """One window of each variant in each precision; then a batch of eight."""
    for variant in VARIANTS:
        exact = None
        with bench.guard("step", variant, "float32", "reference"), precision("float32"):
            step, x, t = make_step(zoo, variant, "float32")
            exact = step(x, t)
        for name in bench.precisions:
            _eager_and_graph(bench, zoo, variant, name, exact=exact)
    for variant in VARIANTS[:3]:
        _eager_and_graph(bench, zoo, variant, bench.half, 2 if bench.toy else 8)


def _eager_and_graph(
    bench: Bench, zoo: Zoo, variant: str, name: str, batch: int = 1, exact: Tensor | None = None
) -> None:
    case = "step" if batch == 1 else f"step, batch {batch}"
    ways = ("eager", "CUDA graph") if bench.cuda else ("eager",)
    flops = None
    for way in ways:
        if bench.left < 0:
            return
        with bench.guard(case, variant, name, way), precision(name):
            step, x, t = make_step(zoo, variant, name, batch)

            def once(step=step, x=x, t=t) -> Tensor:
                return step(x, t)

            call, made = once, once()  # prepares the condition, which later steps do not
            note = "" if exact is None else f"differs from float32 by {rms(made, exact):.1e} std"
            if way == "CUDA graph":
                call = capture(once)
                note = f"differs from eager by {rms(call(), made):.1e} std"
            row = bench.time((case, variant, name, way), call, flops=flops, note=note)
            flops = row.flops if row else flops


def rms(found: Tensor, expected: Tensor) -> float:
    """Root mean square of the difference, in standard deviations of what is expected."""
    return ((found - expected).square().mean().sqrt() / expected.std()).item()


def waits(bench: Bench, zoo: Zoo) -> None:
    """Host waits and attention kernels of a step; with several windows and takes as well."""
    several = 2 if bench.toy else 7
    for variant in VARIANTS[: 2 if bench.toy else 4]:
        for name in dict.fromkeys((bench.half, "float32")):
            for batch, windows in ((1, 1), (4, 1), (1, several)):
                if name != bench.half and (batch, windows) != (1, 1):
                    continue
                if bench.left < 0:
                    return
                way = f"batch {batch}, {windows} windows"
                with bench.guard("profile of a step", variant, name, way):
                    step, x, t = make_step(zoo, variant, name, batch, windows)
                    bench.add(profiled(("profile of a step", variant, name, way), step, x, t))


def profiled(names: tuple[str, str, str, str], step: Callable[..., object], *inputs: Tensor) -> Row:
    """A row of what one call waits for and which kernels it runs."""
    step(*inputs)
    found = profile(lambda: step(*inputs))
    found["places"] = host_waits(lambda: step(*inputs))
    waits = sum(found["waits"].values())
    note = (
        f"{waits:g} waits, {sum(found['copies'].values()):g} copies, {found['items']:g} items, "
        f"{found['launches']:g} launches; attention {found['attention']}"
    )
    if found["places"]:
        note += f"; waits at {', '.join(found['places'][:4])}"
    return Row(*names, seconds=found["device_seconds"] or None, note=note, data=found)


def compiled(bench: Bench, zoo: Zoo) -> None:
    """Each block compiled alone (one compilation for all); then as a CUDA graph, too."""
    if not bench.cuda:
        return
    for variant in (TURBO, V1):
        if bench.left < 40:
            bench.add(Row("step", variant, bench.half, "compiled", note="not run: no time left"))
            continue
        import torch._dynamo

        torch._dynamo.reset()
        model = zoo.backbone(variant, bench.half)
        with bench.guard("step", variant, bench.half, "compiled"), compiled_blocks(model):
            step, x, t = make_step(zoo, variant, bench.half)

            def once(step=step, x=x, t=t) -> Tensor:
                return step(x, t)

            names = ("step", variant, bench.half, "compiled")
            flops = flops_of_step(bench, variant)
            note = "first_run_seconds is the warm-up"
            row = bench.time(names, once, flops=flops, count=False, note=note)
            if row:
                names = (*names[:3], "compiled, CUDA graph")
                bench.time(names, capture(once), flops=flops, count=False)


def flops_of_step(bench: Bench, variant: str) -> int | None:
    """Of a step that was measured before."""
    found = (r.flops for r in bench.rows if (r.case, r.model) == ("step", variant) and r.flops)
    return next(found, None)
