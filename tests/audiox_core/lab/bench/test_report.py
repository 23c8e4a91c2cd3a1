"""A measured line as a row of the table."""

import torch

from audiox_core.lab.bench.report import HEADINGS, header, machine, row, summary
from audiox_core.lab.bench.timing import Line

LINE = Line(
    "decode", "in chunks", baseline="whole", ratio=1.25, memory_ratio=0.5,
    seconds=(0.5, 2.0, 1.0), peak=3_000_000,
)  # fmt: skip


def test_a_row_has_ratios_times_and_memory_below_their_headings():
    width = 9 * len(HEADINGS)
    assert header()[:width].split() == list(HEADINGS)
    cells = [row(LINE)[i : i + 9].strip() for i in range(0, width, 9)]
    assert cells == ["1.25 x", "0.50 x", "1.00 s", "500.0 ms", "2.00 s", "3.0 MB"]
    assert row(LINE)[width:] == "  decode: in chunks / whole"


def test_a_way_without_a_baseline_has_no_ratios():
    alone = Line("load", "ours", None, ratio=None, memory_ratio=None, seconds=(0.1,), peak=0)
    assert row(alone)[:18].strip() == ""
    assert row(alone).endswith("  load: ours")


def test_the_summary_names_settings_machine_and_lines():
    device = torch.device("cpu")
    found = summary({"size": "toy"}, [LINE], device)
    assert found["size"] == "toy"
    assert found["machine"] == machine(device)
    assert found["lines"][0]["median_seconds"] == 1.0
