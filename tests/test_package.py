"""`pip install .`: the core with its model and the command `audiox`, and nothing of the pack."""

import importlib.metadata
import os
import shutil
import subprocess
import sys
from pathlib import Path

import av
import pytest

ROOT = Path(__file__).parents[1]
BUILT_FROM = ("pyproject.toml", "README.md", "LICENSE", "requirements.txt", "__init__.py")
EXAMPLE = """
from audiox_core import Pipeline, Request, load_checkpoint

pipeline = Pipeline(load_checkpoint())
soundtrack = pipeline.generate(Request(prompt="a bell", video="bikes.mp4", seconds=1, steps=2))
soundtrack.save("bikes-with-sound.mp4")
"""

USED = ".safetensors", ".toml", ".sh"  # suffixes of the assets that a package needs


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> Path:
    """A folder with the installed wheel; the other packages are those of this environment."""
    version = importlib.metadata.version("setuptools")
    if int(version.partition(".")[0]) < 77:
        pytest.skip(f"setuptools {version} is too old to build a wheel: pip install -U setuptools")
    source, target = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("installed")
    for name in BUILT_FROM:
        shutil.copy(ROOT / name, source)
    ignored = shutil.ignore_patterns("__pycache__", "golden")
    for name in ("audiox_core", "nodes", "tests"):  # what must stay out is there, too
        shutil.copytree(ROOT / name, source / name, ignore=ignored)
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"]
    command = [*pip, "--no-build-isolation", "--target", str(target), str(source)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return target


@pytest.fixture
def run(installed, tmp_path):
    """Run a command in an empty folder outside the tree, with the installed package."""
    environment = os.environ | {"PYTHONPATH": str(installed)}

    def call(*command: str) -> str:
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return call


def test_the_package_holds_the_core_and_nothing_of_the_pack(installed):
    names = {path.name for path in installed.iterdir()}
    assert {name for name in names if not name.endswith(".dist-info")} == {"audiox_core", "bin"}
    core = installed / "audiox_core"
    sources = [path.relative_to(ROOT / "audiox_core") for path in ROOT.glob("audiox_core/**/*.py")]
    assert [path for path in sources if not (core / path).is_file()] == []
    assets = {p.name for p in (ROOT / "audiox_core" / "assets").iterdir() if p.suffix in USED}
    assert {"audiox-nano.safetensors", "audiox-nano.toml", "train-nano.sh"} <= assets
    assert [name for name in assets if not (core / "assets" / name).is_file()] == []
    assert (core / "py.typed").is_file()
    assert sum(path.stat().st_size for path in core.rglob("*.safetensors")) < 14_500_000


def test_the_installed_library_soundtracks_a_video(run, installed, clips, tmp_path):
    shutil.copy(clips / "bikes.mp4", tmp_path / "bikes.mp4")
    where = run(sys.executable, "-c", EXAMPLE + "\nimport audiox_core\nprint(audiox_core.__file__)")
    assert Path(where.strip()).is_relative_to(installed)
    with av.open(str(tmp_path / "bikes-with-sound.mp4")) as container:
        assert [stream.type for stream in container.streams] == ["video", "audio"]


def test_the_installed_command_says_its_version(run, installed):
    (metadata,) = installed.glob("*.dist-info")
    version = metadata.name.removesuffix(".dist-info").partition("-")[2]
    out = run(str(installed / "bin" / "audiox"), "--version")
    assert out.startswith(f"audiox {version} ")
    assert out == run(sys.executable, "-m", "audiox_core", "--version")
