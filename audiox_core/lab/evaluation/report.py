"""The figures of an evaluation as a table and as a picture (SVG, written by hand)."""

from collections.abc import Mapping, Sequence
from typing import Any

WIDTH, HEIGHT, MARGIN = 340, 240, 44  # pixels, of one of the two diagrams
COLOURS = {"as_said": "#1f77b4", "as_seen": "#d62728"}


def table(figures: Mapping[str, Any]) -> str:
    """One line a figure; lists and dictionaries on one line each."""
    wide = max(map(len, figures))
    return "\n".join(f"{name:<{wide}}  {_text(value)}" for name, value in figures.items())


def _text(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, (float, Mapping, list)):
        return str(value)
    if isinstance(value, float):
        return f"{value:.3f}"
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_text(item)}" for name, item in value.items())
    return "; ".join(_text(item) for item in value)


def picture(figures: Mapping[str, Any]) -> str:
    """Which of text and video wins over their strengths, and how far onsets lie from events.

    Dashed: the same of the untrained model.
    """
    parts = []
    if curve := figures.get("conflict.curve"):
        baseline = figures.get("conflict.curve_untrained", ())
        parts.append(_curve(curve) + _lines(baseline, 'stroke-width="1" stroke-dasharray="4 3"'))
    if offsets := figures.get("video.offsets"):
        parts.append(_bars(offsets))
    width = WIDTH * max(1, len(parts))
    body = "".join(f'<g transform="translate({WIDTH * i},0)">{p}</g>' for i, p in enumerate(parts))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{HEIGHT}" '
        f'font-family="sans-serif" font-size="11" fill="#333">'
        f'<rect width="{width}" height="{HEIGHT}" fill="#fff"/>{body}</svg>\n'
    )


def _x(share: float) -> float:
    return MARGIN + share * (WIDTH - 2 * MARGIN)


def _y(share: float) -> float:
    return HEIGHT - MARGIN - share * (HEIGHT - 2 * MARGIN)


def _curve(curve: Sequence[Mapping[str, float]]) -> str:
    names = []
    for name, colour in COLOURS.items():
        last, anchor = (curve[-1], "end") if name == "as_said" else (curve[0], "start")
        names.append(
            f'<text x="{_x(last["text"]):.1f}" y="{_y(last[name]) - 6:.1f}" fill="{colour}" '
            f'text-anchor="{anchor}">{name.replace("_", " ")}</text>'
        )
    frame = _frame(
        "strength of the text (of the video: the rest)", "share of clips; dashed: untrained"
    )
    return frame + _lines(curve, 'stroke-width="2"') + "".join(names)


def _lines(curve: Sequence[Mapping[str, float]], style: str) -> str:
    lines = []
    for name, colour in COLOURS.items():
        points = " ".join(f"{_x(p['text']):.1f},{_y(p[name]):.1f}" for p in curve)
        lines.append(f'<polyline points="{points}" fill="none" stroke="{colour}" {style}/>')
    return "".join(lines)


def _bars(counts: Mapping[str, int]) -> str:
    most, step = max(*counts.values(), 1), (WIDTH - 2 * MARGIN) / len(counts)
    bars = []
    for index, (name, count) in enumerate(counts.items()):
        x, top = MARGIN + index * step, _y(count / most)
        bars.append(
            f'<rect x="{x + 3:.1f}" y="{top:.1f}" width="{step - 6:.1f}" '
            f'height="{HEIGHT - MARGIN - top:.1f}" fill="#1f77b4"/>'
            f'<text x="{x + step / 2:.1f}" y="{HEIGHT - MARGIN + 14}" '
            f'text-anchor="middle">{name.removesuffix(" ms")}</text>'
        )
    return _frame("onset minus event, ms", "onsets", ticks=False) + "".join(bars)


def _frame(below: str, aside: str, *, ticks: bool = True) -> str:
    marks = "".join(
        f'<line x1="{MARGIN}" x2="{WIDTH - MARGIN}" y1="{_y(s):.1f}" y2="{_y(s):.1f}" '
        f'stroke="#ddd"/><text x="{MARGIN - 4}" y="{_y(s) + 4:.1f}" text-anchor="end">{s:g}</text>'
        f'<text x="{_x(s):.1f}" y="{HEIGHT - MARGIN + 14}" text-anchor="middle">{s:g}</text>'
        for s in (0, 0.25, 0.5, 0.75, 1)
        if ticks
    )
    return (
        f'{marks}<text x="{WIDTH / 2}" y="{HEIGHT - 10}" text-anchor="middle">{below}</text>'
        f'<text x="{MARGIN}" y="{MARGIN - 14}">{aside}</text>'
    )
