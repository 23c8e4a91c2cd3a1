"""The losses of a run as a picture: SVG, written by hand, so that nothing has to be installed."""

import json
from collections.abc import Sequence
from math import log10
from pathlib import Path

WIDTH, HEIGHT, MARGIN = 720, 360, 56  # pixels
POINTS = 600  # at most, of a line


def plot_losses(folder: Path) -> None:
    """Draw `loss.svg` from the log of a run, logarithmic if the loss is always positive."""
    log, picture = folder / "log.jsonl", folder / "loss.svg"
    if not log.exists():
        return
    entries = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    if entries:
        steps = [entry["step"] for entry in entries]
        losses = [entry["loss"] for entry in entries]
        picture.write_text(svg(steps, losses), encoding="utf-8")


def svg(steps: Sequence[int], losses: Sequence[float]) -> str:
    """A line with its axes."""
    every = -(-len(steps) // POINTS)
    steps, losses = steps[::every], losses[::every]
    logarithmic = min(losses) > 0
    heights = [log10(loss) for loss in losses] if logarithmic else list(losses)
    low, high = min(heights), max(heights)
    high = high if high > low else low + 1
    first, last = steps[0], max(steps[-1], steps[0] + 1)

    def x(step: float) -> float:
        return MARGIN + (step - first) / (last - first) * (WIDTH - 2 * MARGIN)

    def y(height: float) -> float:
        return HEIGHT - MARGIN - (height - low) / (high - low) * (HEIGHT - 2 * MARGIN)

    line = " ".join(f"{x(s):.1f},{y(h):.1f}" for s, h in zip(steps, heights, strict=True))
    marks = []
    for part in (0.0, 0.25, 0.5, 0.75, 1.0):
        height, step = low + part * (high - low), first + part * (last - first)
        value = 10**height if logarithmic else height
        marks.append(
            f'<line x1="{MARGIN}" x2="{WIDTH - MARGIN}" y1="{y(height):.1f}" y2="{y(height):.1f}" '
            f'stroke="#ddd"/><text x="{MARGIN - 6}" y="{y(height) + 4:.1f}" '
            f'text-anchor="end">{value:.3g}</text>'
            f'<text x="{x(step):.1f}" y="{HEIGHT - MARGIN + 18}" '
            f'text-anchor="middle">{step:.0f}</text>'
        )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" '
        f'font-family="sans-serif" font-size="11" fill="#333">'
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>{"".join(marks)}'
        f'<polyline points="{line}" fill="none" stroke="#1f77b4" stroke-width="1.5"/>'
        f'<text x="{WIDTH / 2}" y="{HEIGHT - 12}" text-anchor="middle">step</text>'
        f'<text x="{MARGIN}" y="{MARGIN - 16}">loss</text></svg>\n'
    )
