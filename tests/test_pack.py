"""What ComfyUI sees of the pack when it starts, and what people see of it beside the code."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LOAD = """
import asyncio, importlib, importlib.util, logging, pathlib, sys, time
sys.path.insert(0, sys.argv[1])
from comfy.cli_args import args
args.cpu = True
import utils.extra_config, comfy.model_management, execution, nodes, server
for name in [n for n in sys.modules if n.partition(".")[0] == "torchaudio"]:
    del sys.modules[name]  # newer ComfyUI needs it itself: broken for us alone
sys.path[:0] = sys.argv[3:]
before, began = set(sys.modules), time.process_time()  # of this process: others may be busy
where = {"submodule_search_locations": [sys.argv[2]]}
door = sys.argv[2] + "/__init__.py"
spec = importlib.util.spec_from_file_location("a pack-of ours", door, **where)
pack = importlib.util.module_from_spec(spec)
sys.modules["a pack-of ours"] = pack
spec.loader.exec_module(pack)
async def load():
    extension = await pack.comfy_entrypoint()
    return [node.GET_SCHEMA().node_id for node in await extension.get_node_list()]
names = asyncio.run(load())
took = time.process_time() - began
for path in pathlib.Path(sys.argv[2], "nodes", "bridge").glob("[a-z]*.py"):
    importlib.import_module(f"a pack-of ours.nodes.bridge.{path.stem}")  # as the first run does
print(len(names), took, *sorted({name.partition(".")[0] for name in set(sys.modules) - before}))
"""


def load(host, *before: Path) -> list[str]:
    """Load the pack in a process of its own: count of nodes, seconds, what it imported."""
    if reason := host.why_not():
        pytest.skip(reason)
    command = [sys.executable, "-c", LOAD, host.find_comfyui(), ROOT, *before]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.split("\n")[-2].split(" ")


@pytest.fixture(scope="module")
def loads(host) -> list[list[str]]:
    """The pack loaded twice, each time in a ComfyUI of its own."""
    return [load(host), load(host)]


def test_the_pack_adds_little_to_the_start(loads):
    assert min(float(seconds) for _, seconds, *_ in loads) < 0.15


def test_loading_the_pack_imports_no_heavy_library(loads):
    assert not {"transformers", "torchaudio", "huggingface_hub"} & set(loads[0][2:])


@pytest.mark.parametrize("how", ["raise OSError('libcudart')", "raise ModuleNotFoundError"])
def test_the_pack_survives_a_broken_torchaudio(host, tmp_path, how):
    (tmp_path / "torchaudio.py").write_text(how)
    assert load(host, tmp_path)[0] == "23"


def test_every_node_has_a_page_of_help_and_every_workflow_its_pictures():
    assert len(list((ROOT / "web" / "docs").glob("AudioX*.md"))) == 23
    for path in (ROOT / "workflows").glob("*.json"):
        assert path.with_suffix(".jpg").stat().st_size < 100_000
        assert (path.parent / "graphs" / f"{path.stem}.jpg").stat().st_size < 500_000
        assert json.loads(path.read_text())["nodes"]


def test_template_titles_begin_with_the_name_of_the_pack():
    """ComfyUI shows the file's name as the title."""
    names = [path.stem for path in (ROOT / "workflows").glob("*.json")]
    assert [name for name in names if not name.startswith("AudioX ")] == []


def test_no_two_templates_have_the_same_thumbnail():
    import numpy as np
    from PIL import Image

    paths = sorted((ROOT / "workflows").glob("*.jpg"))
    small = [np.asarray(Image.open(p).resize((50, 40)).convert("L"), float) for p in paths]
    alike = [
        (a.stem, b.stem)
        for k, (a, one) in enumerate(zip(paths, small, strict=True))
        for b, other in zip(paths[k + 1 :], small[k + 1 :], strict=True)
        if np.abs(one - other).mean() < 1  # of 255
    ]
    assert alike == []


def test_no_file_of_the_bridge_is_long_and_nodes_hold_no_logic():
    import ast

    for path in (ROOT / "nodes").rglob("*.py"):
        assert len(path.read_text().splitlines()) <= 400, path.name
    lengths = sorted(
        node.end_lineno - node.body[0].lineno + 1
        for path in (ROOT / "nodes").glob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef) and node.name == "execute"
    )
    assert lengths[len(lengths) // 2] <= 8
