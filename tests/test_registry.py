"""What the Comfy registry reads: pyproject.toml, and the archive that it publishes."""

import re
import subprocess
from pathlib import Path

import pytest

from audiox_core.version import __version__

try:
    import tomllib
except ModuleNotFoundError:  # Python 3.10
    import tomli as tomllib

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def pyproject() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def test_the_static_dependencies_are_the_lines_of_requirements_txt(pyproject):
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    required = [line for line in lines if line and not line.startswith("#")]
    assert pyproject["project"]["dependencies"] == required
    assert "dynamic" not in pyproject["project"]
    assert not [line for line in required if "torchaudio" in line]


def test_the_version_is_the_same_everywhere(pyproject):
    newest = re.search(r"^## \[([\d.]+)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert pyproject["project"]["version"] == __version__ == newest[1]


def test_the_fields_of_the_registry_are_there_to_fill_in(pyproject):
    comfy, project = pyproject["tool"]["comfy"], pyproject["project"]
    assert {"PublisherId", "DisplayName", "Icon", "requires-comfyui"} <= comfy.keys()
    assert project["urls"]["Repository"].startswith("https://github.com/")
    assert "comfyui" not in project["name"].lower()
    assert any(line.startswith("Operating System ::") for line in project["classifiers"])


def test_the_published_archive_is_small_and_holds_what_comfyui_needs():
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout: the files that are published are not known")
    tracked = _files()
    published = tracked - _files("--ignored", "--exclude-from=.comfyignore")
    tops = {name.partition("/")[0] for name in published}
    assert not tops & {"tests", ".ci", ".github"}
    assert {"__init__.py", "pyproject.toml", "LICENSE", "README.md", "requirements.txt"} <= tops
    assert {"nodes", "audiox_core", "web", "workflows", "subgraphs", "locales"} <= tops
    assert sum((ROOT / name).stat().st_size for name in published) < 20_000_000


def _files(*options: str) -> set[str]:
    command = ["git", "ls-files", "-z", "--cached", *options]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return {name for name in listed.stdout.split("\0") if (ROOT / name).is_file()}
