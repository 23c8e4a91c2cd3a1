"""One version, in two places."""

import re
from pathlib import Path

import audiox_core
from audiox_core.version import __version__

ROOT = Path(__file__).parents[2]


def test_the_version_is_that_of_the_package():
    (listed,) = re.findall(r'^version = "(.*)"', (ROOT / "pyproject.toml").read_text(), re.M)
    assert listed == __version__ == audiox_core.__version__
