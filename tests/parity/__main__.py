"""`python -m tests.parity DIR`: our numbers beside the recorded ones, one line a case."""

import argparse
import json
import sys
import time
from pathlib import Path

import torch

from . import sync, training, v1, v2  # noqa: F401 (they register the adapters)
from .fixtures import (
    Case,
    adapter_for,
    adapters_without_case,
    compare,
    find_cases,
    read_case,
)


def check(case: Case) -> dict:
    """Run one case; the report is what `--json` prints."""
    report = {"case": case.name, "slow": case.slow}
    if missing := case.missing_packages:
        return report | {"verdict": "skipped", "why": f"needs {', '.join(missing)}"}
    run = adapter_for(case)
    if run is None:
        return report | {"verdict": "FAILED", "why": "no adapter for this case"}
    began = time.perf_counter()
    try:
        with torch.inference_mode():
            differences = compare(case, run(case))
        worst = max(differences, key=lambda d: (not d.passed, d.share))
    except Exception as error:  # one broken case must not hide the others
        return report | {"verdict": "FAILED", "why": f"{type(error).__name__}: {error}"}
    return report | {
        "verdict": "ok" if all(d.passed for d in differences) else "FAILED",
        "tensors": len(differences),
        "worst": worst.name,
        "error": worst.error,
        "relative": worst.relative,
        "allowed": worst.allowed,
        "not_made": case.not_made,
        "seconds": round(time.perf_counter() - began, 2),
    }


def line(report: dict) -> str:
    """One report for people."""
    head = f"{report['case']:24} {report['verdict']:8}"
    if "why" in report:
        return f"{head} {report['why']}"
    numbers = (
        f"max error {report['error']:.2e} ({report['relative']:.1e} std) of {report['allowed']:.1e}"
        f" in {report['worst']}, {report['tensors']} tensors, {report['seconds']} s"
    )
    left = "".join(f"; without {name}: {why}" for name, why in report["not_made"].items())
    return f"{head} {numbers}{left}"


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.parity", description=__doc__)
    parser.add_argument("folder", type=Path, help="fixtures in the golden format")
    parser.add_argument("--only", default="*", metavar="PATTERN", help="such as 'v1_*'")
    parser.add_argument("--fast", action="store_true", help="leave out the slow cases")
    parser.add_argument("--json", action="store_true", help="one JSON list instead of lines")
    options = parser.parse_args(arguments)
    reports, names = [], []
    for path in find_cases(options.folder, options.only):
        case = read_case(path)
        names.append(case.name)
        if options.fast and case.slow:
            continue
        reports.append(check(case))
        if not options.json:
            print(line(reports[-1]), flush=True)
    if options.json:
        print(json.dumps(reports, indent=1))
    if unused := adapters_without_case(names):
        print(f"adapters without a case here: {', '.join(unused)}", file=sys.stderr)
    if not reports:
        print(f"no case in {options.folder} matches {options.only}", file=sys.stderr)
    return 0 if reports and all(r["verdict"] != "FAILED" for r in reports) else 1


if __name__ == "__main__":
    sys.exit(main())
