"""The losses of a run as a picture."""

import json
import re
from xml.etree import ElementTree

from audiox_core.lab.plot_loss import HEIGHT, MARGIN, POINTS, WIDTH, plot_losses, svg


def points(text):
    (line,) = re.findall(r'polyline points="([^"]*)"', text)
    return [tuple(map(float, point.split(","))) for point in line.split()]


def test_positive_losses_are_drawn_on_a_logarithmic_axis():
    left, middle, right = points(svg([0, 5, 10], [100.0, 10.0, 1.0]))
    assert left == (MARGIN, MARGIN)
    assert middle == (WIDTH / 2, HEIGHT / 2)
    assert right == (WIDTH - MARGIN, HEIGHT - MARGIN)


def test_negative_losses_are_drawn_on_a_linear_axis():
    _, middle, _ = points(svg([0, 5, 10], [3.0, 0.0, -1.0]))
    assert middle[1] == HEIGHT - MARGIN - 0.25 * (HEIGHT - 2 * MARGIN)


def test_a_constant_loss_is_a_flat_line():
    assert {y for _, y in points(svg([1, 2, 3], [2.0, 2.0, 2.0]))} == {HEIGHT - MARGIN}


def test_a_long_run_is_thinned_out():
    steps = range(10 * POINTS)
    assert len(points(svg(steps, [1.0] * len(steps)))) == POINTS


def test_the_log_of_a_run_becomes_a_picture(tmp_path):
    plot_losses(tmp_path)
    assert not (tmp_path / "loss.svg").exists()
    entries = [json.dumps({"step": step, "loss": 1.0 / step}) for step in (1, 2, 3)]
    (tmp_path / "log.jsonl").write_text("\n".join(entries), encoding="utf-8")
    plot_losses(tmp_path)
    ElementTree.parse(tmp_path / "loss.svg")
