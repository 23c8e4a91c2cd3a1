"""The structure of the core: imports point downwards only, and every module has its test file."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

CORE = Path(__file__).parents[1] / "audiox_core"
TESTS = Path(__file__).parent / "audiox_core"
LAYERS = [  # lowest first; rooms on one line do not know one another
    "errors version", "config locks paths progress", "limits progress_bar",
    "arguments device overwrite variants windows", "media models diffusion hub",
    "conditioners", "checkpoint analysis", "pipeline", "training batch", "lab", "cli",
    "__init__ __main__",
]  # fmt: skip
RANK = {room: rank for rank, rooms in enumerate(LAYERS) for room in rooms.split()}
NOT_FOR_THE_CORE = {"audiox_core", "comfy", "comfy_api", "folder_paths", "nodes", "server", "tests"}


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """Each import as (leading dots, first name)."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((0, alias.name.partition(".")[0]) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            names = [node.module] if node.module else [alias.name for alias in node.names]
            yield from ((node.level, name.partition(".")[0]) for name in names)


@pytest.mark.parametrize("path", sorted(CORE.rglob("*.py")), ids=lambda p: str(p.relative_to(CORE)))
def test_imports_point_downwards(path):
    parts = path.relative_to(CORE).with_suffix("").parts
    for level, name in imports(path):
        assert level or name not in NOT_FOR_THE_CORE
        if level == len(parts) and name != parts[0]:  # as many dots as lead to audiox_core
            assert RANK[name] < RANK[parts[0]], f"{parts[0]} must not import {name}"


MODULES = [path for path in sorted(CORE.rglob("*.py")) if not path.stem.startswith("__")]


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(CORE)))
def test_every_module_has_a_test_file_at_the_same_place(path):
    place = path.relative_to(CORE)
    mirrored = TESTS / place.parent / f"test_{place.name}"
    assert mirrored.is_file(), f"write {mirrored.relative_to(TESTS.parents[1])}"
