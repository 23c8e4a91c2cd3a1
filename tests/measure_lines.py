"""`python -m tests.measure_lines`: code lines by folder, the largest files, import cycles.

A code line holds code: blank lines, comments and docstrings do not count.
"""

import ast
import io
import tokenize
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from statistics import median

ROOT = Path(__file__).parents[1]
NO_CODE = {
    tokenize.COMMENT,
    tokenize.NL,
    tokenize.NEWLINE,
    tokenize.INDENT,
    tokenize.DEDENT,
    tokenize.ENDMARKER,
}
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
FOLDERS = ("audiox_core", "nodes")
PARTS = ("training", "lab", "other core", "nodes", "bridge")
LARGEST = 12  # files that are printed


def code_lines(source: str) -> int:
    """Lines of a module that hold code."""
    lines: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in NO_CODE:
            lines |= {*range(token.start[0], token.end[0] + 1)}
    return len(lines - _docstring_lines(source))


def _docstring_lines(source: str) -> set[int]:
    found: set[int] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, DOCUMENTED) and ast.get_docstring(node, clean=False) is not None:
            text = node.body[0]
            found |= {*range(text.lineno, text.end_lineno + 1)}
    return found


def measure(root: Path = ROOT) -> dict[str, int]:
    """Code lines of every module of the pack, by its path below the root."""
    paths = (
        p for folder in ("audiox_core", "nodes") for p in sorted((root / folder).rglob("*.py"))
    )
    return {
        p.relative_to(root).as_posix(): code_lines(p.read_text(encoding="utf-8")) for p in paths
    }


def part(path: str) -> str:
    """Which of `PARTS` a module belongs to."""
    for prefix, name in (
        ("audiox_core/training/", "training"),
        ("audiox_core/lab/", "lab"),
        ("audiox_core/", "other core"),
        ("nodes/bridge/", "bridge"),
    ):
        if path.startswith(prefix):
            return name
    return "nodes"


def totals(sizes: dict[str, int]) -> Counter[str]:
    """Code lines of each of `PARTS`."""
    counted: Counter[str] = Counter(dict.fromkeys(PARTS, 0))
    for path, lines in sizes.items():
        counted[part(path)] += lines
    return counted


def core_median(sizes: dict[str, int]) -> float:
    """The median size of the core's modules that hold code."""
    return median(n for path, n in sizes.items() if n and path.startswith("audiox_core/"))


def import_graph(root: Path = ROOT) -> dict[str, set[str]]:
    """Modules of the pack that each module imports when it is loaded."""
    paths = {p: _name(p, root) for d in FOLDERS for p in (root / d).rglob("*.py")}
    known = set(paths.values())
    return {
        name: {n for n in _imports(path, name) if n in known and n != name}
        for path, name in paths.items()
    }


def _name(path: Path, root: Path) -> str:
    return ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__")


def _imports(path: Path, name: str) -> Iterator[str]:
    """What a module imports outside of functions; a package only for names of its own."""
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    for node in _outside_functions(ast.parse(path.read_text(encoding="utf-8")).body):
        if isinstance(node, ast.ImportFrom) and node.level:
            start = ".".join(package.split(".")[: len(package.split(".")) - node.level + 1])
            target = f"{start}.{node.module}" if node.module else start
            here = path.parents[node.level - 1].joinpath(*(node.module or "").split("."))
            for alias in node.names:
                is_module = (here / alias.name).is_dir() or here.joinpath(
                    f"{alias.name}.py"
                ).exists()
                yield f"{target}.{alias.name}" if is_module else target


def _outside_functions(nodes: Iterable[ast.stmt]) -> Iterator[ast.stmt]:
    for node in nodes:
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield node
            yield from _outside_functions(
                child for child in ast.iter_child_nodes(node) if isinstance(child, ast.stmt)
            )


def cycles(graph: dict[str, set[str]]) -> list[list[str]]:
    """Groups of modules that import one another: strongly connected components (Tarjan 1972)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(name: str) -> None:
        index[name] = low[name] = len(index)
        stack.append(name)
        for other in graph[name]:
            if other not in index:
                visit(other)
                low[name] = min(low[name], low[other])
            elif other in stack:
                low[name] = min(low[name], index[other])
        if low[name] == index[name]:
            at = stack.index(name)
            group = stack[at:]
            del stack[at:]
            if len(group) > 1:
                found.append(sorted(group))

    for name in graph:
        if name not in index:
            visit(name)
    return found


def main() -> None:
    """Print the table."""
    sizes = measure()
    for name, lines in totals(sizes).items():
        print(f"{lines:6,} {name}")
    print(f"{sum(sizes.values()):6,} in all; median file of the core {core_median(sizes):g}")
    print(f"\nThe {LARGEST} largest files:")
    for path, lines in Counter(sizes).most_common(LARGEST):
        print(f"{lines:6,} {path}")
    found = cycles(import_graph())
    print(f"\n{len(found)} import cycles")
    for group in found:
        print("  " + ", ".join(group))


if __name__ == "__main__":
    main()
