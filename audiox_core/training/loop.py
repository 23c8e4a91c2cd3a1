"""Steps, one after another: gradients, weights, their average, the log, saving and going on.

What is trained is a stage's affair (`vae_stage.py`, `encoders_stage.py`, `diffusion_stage.py`,
`lora_stage.py`).
"""

import json
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from ..errors import AudioXError
from .config import TrainConfig
from .optim import cosine_lr, ema_decay, inverse_lr, update_average
from .plot import plot_losses
from .state import Progress, load_state, save_state
from .team import Team

LOG, PLOT = "log.jsonl", "loss.svg"
PRECISIONS = {"bf16": torch.bfloat16, "fp16": torch.float16}


class TrainingError(AudioXError):
    """A run cannot go on."""


class Stage(Protocol):
    """What is trained: a module whose forward gives losses, and how its weights are written."""

    module: nn.Module  # forward(*batch) -> named numbers, "loss" among them
    may_skip: bool  # whether a batch may leave some of its weights without a gradient

    def batch(self, step: int, items: range) -> tuple[Any, ...]:
        """What some items of a step are, of all that the processes look at together."""
        ...

    def save(self, folder: Path, weights: Mapping[str, Tensor], record: Mapping[str, Any]) -> Path:
        """Write a file with averaged weights, by their name in `module`; returns its path."""
        ...


@dataclass(frozen=True)
class Report:
    """How a run stands after a step."""

    step: int
    steps: int
    losses: Mapping[str, float]
    lr: float
    per_second: float  # steps
    seconds_left: float

    def __str__(self) -> str:
        losses = " ".join(f"{name} {value:.4f}" for name, value in self.losses.items())
        minutes, seconds = divmod(round(self.seconds_left), 60)
        left = f"{minutes // 60}:{minutes % 60:02d}:{seconds:02d}"
        return (
            f"step {self.step}/{self.steps}  {losses}  lr {self.lr:.2e}  "
            f"{self.per_second:.2f} steps/s  {left} left"
        )


@dataclass(frozen=True)
class Outcome:
    """How a run ended."""

    step: int
    steps: int
    weights: Path | None
    interrupted: bool = False
    late: bool = False  # its minutes were over

    @property
    def finished(self) -> bool:
        """Whether all steps are done."""
        return self.step >= self.steps


@dataclass
class _Run:
    """A run's parts, so that functions need not pass ten things on."""

    stage: Stage
    config: TrainConfig
    output: Path
    team: Team
    record: Mapping[str, Any]
    made_of: str
    weights: dict[str, nn.Parameter] = field(default_factory=dict)
    average: dict[str, Tensor] = field(default_factory=dict)
    progress: Progress = field(default_factory=Progress)

    def __post_init__(self) -> None:
        named = self.stage.module.named_parameters()
        self.weights = {name: p for name, p in named if p.requires_grad}
        self.average = {name: p.detach().clone() for name, p in self.weights.items()}
        optim = self.config.optim
        self.optimiser = torch.optim.AdamW(
            self.weights.values(),
            lr=optim.lr,
            betas=optim.betas,
            weight_decay=optim.weight_decay,
            fused=self.team.device.type in {"cpu", "cuda"},
        )
        fp16 = optim.precision == "fp16" and self.team.device.type == "cuda"
        self.scaler = torch.amp.GradScaler(self.team.device.type, enabled=fp16)

    @property
    def identity(self) -> dict[str, Any]:
        """All that decides the numbers."""
        beside = {
            "stage": type(self.stage).__name__,
            "processes": self.team.size,
            "made_of": self.made_of,
        }
        return {**self.config.identity(), **beside}

    def save(self) -> Path | None:
        """The state, then the weights for use; the others wait."""
        path = None
        if self.team.leads:
            self.progress.scaler = self.scaler.state_dict()
            save_state(
                self.output,
                self.weights,
                self.average,
                self.optimiser,
                progress=self.progress,
                identity=self.identity,
            )
            record = {**self.record, "steps": self.progress.step}
            record["seconds"] = round(self.progress.seconds, 1)
            path = self.stage.save(self.output, self.average, record)
            plot_losses(self.output / LOG, self.output / PLOT)
        self.team.wait()
        return path


def train(
    stage: Stage, config: TrainConfig, output: Path, *,
    team: Team, record: Mapping[str, Any], made_of: str = "",
    report: Callable[[Report], None] = lambda _: None,
) -> Outcome:  # fmt: skip
    """Train until the last step, the last minute, or an interrupt; go on where a run ended.

    Args:
        stage: what is trained.
        config: of the run.
        output: a folder that exists; state, weights, log and plot go there.
        team: this process among all.
        record: what is written beside the weights: command, machine, …
        made_of: a name for the clips and the weights that the run begins with.
        report: called at every step that is logged.

    Raises:
        TrainingError: the loss is no number any more.
        SettingsError: `output` holds a run with other settings.
        WeightsError: a file cannot be written.
    """
    run = _Run(stage, config, output, team, record, made_of)
    found = load_state(output, run.weights, run.average, run.optimiser, run.identity)
    if found is not None:
        run.progress = found
        run.scaler.load_state_dict(found.scaler)
    if team.leads:
        _cut_log(output / LOG, run.progress.step)
    with _interrupts() as interrupted:
        return _steps(run, interrupted, report)


def _steps(run: _Run, interrupted: threading.Event, report: Callable[[Report], None]) -> Outcome:
    config, progress = run.config.run, run.progress
    module = run.stage.module
    if run.team.size > 1:
        skips = run.stage.may_skip
        module = DistributedDataParallel(module, find_unused_parameters=skips)
    clock = _Clock(progress)
    saved, path, stopped, late = progress.step, None, False, False
    while progress.step < config.steps and not stopped and not late:
        losses = _step(run, module)
        late = bool(config.minutes) and clock.elapsed > 60 * config.minutes
        losses, stopped, late = _agreed(run.team, losses, interrupted.is_set(), late)
        if not isfinite(losses["loss"]):
            raise TrainingError(
                f"The loss of step {progress.step + 1} is no number any more: take a smaller "
                f"optim.lr than {run.config.optim.lr:g} or a smaller optim.clip; the state of "
                f"step {saved} is kept."
            )
        progress.step += 1
        progress.seconds = clock.all_seconds
        _count(progress, losses)
        done = progress.step == config.steps
        if progress.step % config.log_every == 0 or done:
            line = _report(run, clock)
            if run.team.leads:
                _log(run.output / LOG, line, losses["loss"], progress.seconds)
                report(line)
        if progress.step % config.save_every == 0 or done or stopped or late:
            saved, path = progress.step, run.save()
    if clock.began_at == progress.step:  # nothing was left to do
        path = run.save()
    return Outcome(progress.step, config.steps, path, interrupted=stopped, late=late)


class _Clock:
    """Time and steps of this run, and of all runs before it."""

    def __init__(self, progress: Progress) -> None:
        self.began_at, self.before, self.began = progress.step, progress.seconds, time.monotonic()

    @property
    def elapsed(self) -> float:
        """Seconds of this run."""
        return time.monotonic() - self.began

    @property
    def all_seconds(self) -> float:
        """Seconds of all runs."""
        return self.before + self.elapsed


def _agreed(
    team: Team, losses: Mapping[str, float], stopped: bool, late: bool
) -> tuple[dict[str, float], bool, bool]:
    """Mean losses of all processes, and whether one of them was told to end, or is late."""
    shared = torch.tensor([*losses.values(), float(stopped), float(late)], dtype=torch.float64)
    *values, stops, lates = team.mean(shared).tolist()
    return dict(zip(losses, values, strict=True)), stops > 0, lates > 0


def _report(run: _Run, clock: _Clock) -> Report:
    """How the run stands; the means begin anew."""
    progress, config = run.progress, run.config
    rate = (progress.step - clock.began_at) / clock.elapsed
    means = {name: value / progress.counted for name, value in progress.sums.items()}
    progress.sums, progress.counted = {}, 0
    left = (config.run.steps - progress.step) / rate
    lr = _lr(config, progress.step - 1)
    return Report(progress.step, config.run.steps, means, lr, rate, left)


def _step(run: _Run, module: nn.Module) -> dict[str, float]:
    """One step of the optimiser; the losses of this process."""
    config, team, step = run.config.optim, run.team, run.progress.step
    dtype = PRECISIONS.get(config.precision)
    sums: dict[str, Tensor] = {}
    run.optimiser.zero_grad(set_to_none=True)
    for turn in range(config.accumulation):
        begin = (turn * team.size + team.rank) * config.batch
        batch = run.stage.batch(step, range(begin, begin + config.batch))
        more = turn + 1 < config.accumulation and team.size > 1
        with (
            module.no_sync() if more else nullcontext(),
            torch.autocast(team.device.type, dtype) if dtype else nullcontext(),
        ):
            losses = module(*batch)
            run.scaler.scale(losses["loss"] / config.accumulation).backward()
        for name, value in losses.items():
            sums[name] = sums.get(name, 0) + value.detach().float() / config.accumulation
    run.scaler.unscale_(run.optimiser)
    largest = config.clip or float("inf")
    norm = nn.utils.clip_grad_norm_(run.weights.values(), largest)
    if norm.isfinite() or run.scaler.is_enabled():
        for group in run.optimiser.param_groups:
            group["lr"] = _lr(run.config, step)
        run.scaler.step(run.optimiser)
        run.scaler.update()
        ema = run.config.ema
        decay = ema_decay(
            step, beta=ema.beta, power=ema.power, inv_gamma=ema.inv_gamma,
            update_after=ema.update_after,
        )  # fmt: skip
        update_average(run.average.values(), run.weights.values(), decay)
    else:  # said by whoever sees the loss
        sums["loss"] = sums["loss"] * float("nan")
    return {name: value.item() for name, value in sums.items()} | {"norm": norm.item()}


def _lr(config: TrainConfig, step: int) -> float:
    optim = config.optim
    if optim.schedule == "inverse":
        return inverse_lr(
            step, optim.lr, inv_gamma=optim.inv_gamma, power=optim.power, warmup=optim.warmup
        )
    steps = config.run.steps if optim.schedule == "cosine" else 0
    return cosine_lr(step, optim.lr, warmup_steps=optim.warmup_steps, steps=steps)


def _count(progress: Progress, losses: Mapping[str, float]) -> None:
    for name, value in losses.items():
        progress.sums[name] = progress.sums.get(name, 0.0) + value
    progress.counted += 1


def _log(path: Path, line: Report, loss: float, seconds: float) -> None:
    """A line of JSON: means since the line before; `last` is the loss of this very step."""
    entry = {"step": line.step, **line.losses, "last": loss, "lr": line.lr}
    entry |= {"steps_per_second": round(line.per_second, 3), "seconds": round(seconds, 1)}
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(entry) + "\n")


def _cut_log(path: Path, step: int) -> None:
    """Forget what was logged behind the state that the run goes on from."""
    if not path.exists():
        return
    kept = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            if json.loads(line)["step"] <= step:
                kept.append(line + "\n")
        except (ValueError, KeyError):
            continue  # a line that a killed run did not finish
    path.write_text("".join(kept), encoding="utf-8")


@contextmanager
def _interrupts() -> Iterator[threading.Event]:
    """Ctrl-C and SIGTERM end the run behind its step; a second one at once."""
    event = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield event
        return

    def stop(_signal: int, _frame: Any) -> None:
        if event.is_set():
            raise KeyboardInterrupt
        event.set()

    old = {name: signal.signal(name, stop) for name in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield event
    finally:
        for name, handler in old.items():
            signal.signal(name, handler)
