"""The training loop of all stages: gradients, weights, their average, the log, saving, resuming.

A stage (`vae_stage.py`, `diffusion_stage.py`, `lora_stage.py`) makes batches, computes losses and
writes the file for use.
"""

import json
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from ..errors import AudioXError
from .config import EmaConfig, OptimConfig, TrainConfig
from .distributed import STOPPING, Distributed
from .manifest import write_lines
from .optim import ema_decay, learning_rate, update_average
from .state import State

LOG = "log.jsonl"
PRECISIONS = {"bf16": torch.bfloat16, "fp16": torch.float16}


class TrainingError(AudioXError):
    """A run cannot continue."""


class Stage(Protocol):
    """What is trained: a module whose forward gives losses, and how its weights are written."""

    module: Any  # an nn.Module: forward(*batch) -> named numbers, "loss" among them
    unused_weights: bool  # whether a batch may leave some weights without a gradient

    def batch(self, step: int, items: range) -> tuple[Any, ...]:
        """Some of the items that all processes together use in a step."""
        ...

    def save(self, folder: Path, weights: Mapping[str, Tensor], record: Mapping[str, Any]) -> Path:
        """Write a file with averaged weights, by their name in `module`; returns its path."""
        ...


@dataclass(frozen=True)
class Report:
    """The progress of a run after a step."""

    step: int
    steps: int
    losses: Mapping[str, float]  # means since the report before
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
    weights: Path | None  # None in all processes but the main one
    interrupted: int = 0  # number of the signal that ended it, or 0
    out_of_time: bool = False  # `run.minutes` were over

    @property
    def finished(self) -> bool:
        """Whether all steps are done."""
        return self.step >= self.steps


def train(
    stage: Stage,
    config: TrainConfig,
    output: Path,
    dist: Distributed,
    *,
    identity: Mapping[str, Any],
    record: Mapping[str, Any],
    report: Callable[[Report], None] = lambda _: None,
    on_save: Callable[[Path], None] = lambda _: None,
) -> Outcome:
    """Train until the last step, the last minute or an interrupt; resume a run that ended early.

    Args:
        stage: what is trained.
        config: of the run.
        output: a folder that exists; state, weights and log are written there.
        dist: this process.
        identity: what two runs must share for one to resume the other.
        record: what is written beside the weights; steps and seconds are added.
        report: called at every step that is logged.
        on_save: called with `output` after the weights were written.

    Raises:
        TrainingError: the loss is not finite.
        SettingsError: `output` holds a run with another identity.
        WeightsError: a file cannot be written.
    """
    state = State.begin(stage.module, config.optim, dist.device)
    state.load(output, identity)

    def save() -> Path | None:
        """Write the state, then the weights for use, in the main process; the others wait."""
        path = None
        if dist.is_main:
            state.save(output, identity)
            done = {"steps": state.step, "seconds": round(state.seconds, 1)}
            path = stage.save(output, state.average, {**record, **done})
            on_save(output)
        dist.wait()
        return path

    if dist.is_main:
        _truncate_log(output / LOG, state.step)
    module: nn.Module = stage.module
    if dist.size > 1:
        module = DistributedDataParallel(module, find_unused_parameters=stage.unused_weights)
    first, saved, path = state.step, state.step, None
    seconds_before, began = state.seconds, time.monotonic()
    interrupted = out_of_time = False
    with _interrupts() as signals:
        while state.step < config.run.steps and not interrupted and not out_of_time:
            losses = _step(stage, module, state, config, dist)
            seconds = time.monotonic() - began
            out_of_time = bool(config.run.minutes) and seconds > 60 * config.run.minutes
            losses, interrupted, out_of_time = _agree(dist, losses, bool(signals), out_of_time)
            if not isfinite(losses["loss"]):
                raise TrainingError(
                    f"The loss of step {state.step + 1} is not finite: use a smaller optim.lr than "
                    f"{config.optim.lr:g} or a smaller optim.clip. The state of step {saved} is "
                    "kept."
                )
            state.count(losses, seconds_before + seconds)
            last = state.step == config.run.steps
            if (state.step % config.run.log_every == 0 or last) and dist.is_main:
                line = _report(state, config, (state.step - first) / seconds)
                _log(output / LOG, line, losses["loss"], state.seconds)
                report(line)
            due = state.step % config.run.save_every == 0
            if due or last or interrupted or out_of_time:
                saved, path = state.step, save()
        if state.step == first:  # nothing was left to do
            path = save()
    number = (signals or [signal.SIGINT])[0] if interrupted else 0  # else of another process
    return Outcome(state.step, config.run.steps, path, number, out_of_time)


def _step(
    stage: Stage, module: Any, state: State, config: TrainConfig, dist: Distributed
) -> dict[str, float]:
    """One step of the optimiser; the losses of this process, NaN if its gradient is not finite."""
    optim = config.optim
    dtype = PRECISIONS.get(optim.precision)
    sums: dict[str, Tensor] = {}
    state.optimiser.zero_grad(set_to_none=True)
    for turn in range(optim.accumulation):
        begin = (turn * dist.size + dist.rank) * optim.batch
        batch = stage.batch(state.step, range(begin, begin + optim.batch))
        synchronise = turn + 1 == optim.accumulation or dist.size == 1
        with (
            nullcontext() if synchronise else module.no_sync(),
            torch.autocast(dist.device.type, dtype) if dtype else nullcontext(),
        ):
            losses = module(*batch)
            state.scaler.scale(losses["loss"] / optim.accumulation).backward()
        for name, value in losses.items():
            sums[name] = sums.get(name, 0) + value.detach().float() / optim.accumulation
    state.scaler.unscale_(state.optimiser)
    largest = optim.clip or float("inf")
    norm = nn.utils.clip_grad_norm_(state.weights.values(), largest)
    if norm.isfinite() or state.scaler.is_enabled():
        _update(state, optim, config.ema, config.run.steps)
    else:
        sums["loss"] = sums["loss"] * float("nan")
    return {name: value.item() for name, value in sums.items()} | {"norm": norm.item()}


def _update(state: State, optim: OptimConfig, ema: EmaConfig, steps: int) -> None:
    """Move the weights, then their average."""
    for group in state.optimiser.param_groups:
        group["lr"] = learning_rate(state.step, optim, steps)
    state.scaler.step(state.optimiser)
    state.scaler.update()
    decay = ema_decay(state.step, ema)
    update_average(state.average.values(), state.weights.values(), decay)


def _agree(
    dist: Distributed, losses: Mapping[str, float], *flags: bool
) -> tuple[dict[str, float], bool, bool]:
    """Mean losses of all processes, and which flags are set in one of them."""
    shared = torch.tensor([*losses.values(), *map(float, flags)], dtype=torch.float64)
    *values, interrupted, out_of_time = dist.mean(shared).tolist()
    return dict(zip(losses, values, strict=True)), interrupted > 0, out_of_time > 0


def _report(state: State, config: TrainConfig, per_second: float) -> Report:
    left = (config.run.steps - state.step) / per_second
    lr = learning_rate(state.step - 1, config.optim, config.run.steps)
    return Report(state.step, config.run.steps, state.take_means(), lr, per_second, left)


def _log(path: Path, line: Report, loss: float, seconds: float) -> None:
    """A line of JSON: means since the line before; `last` is the loss of this very step."""
    entry = {"step": line.step, **line.losses, "last": loss, "lr": line.lr}
    entry |= {"steps_per_second": round(line.per_second, 3), "seconds": round(seconds, 1)}
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(entry) + "\n")


def _truncate_log(path: Path, step: int) -> None:
    """Remove what was logged after the state that the run resumes from."""
    if not path.is_file():
        return
    kept = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        with suppress(ValueError, KeyError, TypeError, RecursionError):  # of a run that was killed
            entry = json.loads(line)
            if entry["step"] <= step and isfinite(entry["loss"]):
                kept.append(entry)
    write_lines(path, kept)


@contextmanager
def _interrupts() -> Iterator[list[int]]:
    """Signals that end the run after its step: Ctrl-C, SIGTERM, SIGHUP; a second one at once."""
    received: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield received
        return

    def stop(number: int, _frame: Any) -> None:
        received.append(number)
        if len(received) > 1:
            raise KeyboardInterrupt(number)

    old = {n: signal.getsignal(n) for n in STOPPING if signal.getsignal(n) is not signal.SIG_IGN}
    try:
        for number in old:  # not those that `nohup` ignores
            signal.signal(number, stop)
        yield received
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)
