"""The README files: commands run, links and files exist, tables are complete, texts match the code.

Blocks marked `sh` are for bash, blocks marked `powershell` for PowerShell.
"""

import ast
import json
import re
import runpy
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, unquote

import av
import pytest

from audiox_core.cli import build_parser

ROOT = Path(__file__).parents[1]
CORE_README = ROOT / "audiox_core" / "README.md"
PAGES = [
    ROOT / "README.md",
    ROOT / "CHANGELOG.md",
    CORE_README,
    ROOT / "audiox_core" / "assets" / "README.md",
    ROOT / "workflows" / "README.md",
    *sorted((ROOT / "web" / "docs").glob("*.md")),
]
TEXTS = {page: page.read_text(encoding="utf-8") for page in PAGES}
README = TEXTS[ROOT / "README.md"]
OURS = "python -m audiox_core"
SEVERAL_GPUS = "torchrun --nproc-per-node N -m audiox_core"


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def blocks(text: str, language: str) -> list[list[str]]:
    """The lines of each code block of a language."""
    return [block.splitlines() for block in re.findall(rf"```{language}\n(.*?)```", text, re.S)]


def commands(text: str) -> list[str]:
    """All commands of all shell blocks, with `&&` resolved."""
    lines = [line for kind in ("sh", "powershell") for b in blocks(text, kind) for line in b]
    return [part for line in lines for part in line.split(" && ")]


def inline(text: str) -> list[str]:
    """The inline code of a page."""
    return re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", text, flags=re.S))


def block_commands() -> Iterator[tuple[str, str]]:
    for page, text in TEXTS.items():
        for command in commands(text):
            if OURS in command:
                yield name_of(page), command.partition(OURS)[2]


def test_readme_is_short():
    assert len(README.splitlines()) <= 200


def test_python_example_makes_a_soundtrack_in_five_lines(clips, tmp_path, monkeypatch):
    example, _ = re.findall(r"```python\n(.*?)```", TEXTS[CORE_README], re.S)
    assert len([line for line in example.splitlines() if line]) <= 5
    shutil.copy(clips / "bikes.mp4", tmp_path / "bikes.mp4")
    monkeypatch.chdir(tmp_path)
    Path("example.py").write_text(example)
    runpy.run_path("example.py")
    with av.open("bikes-with-sound.mp4") as container:
        assert [stream.type for stream in container.streams] == ["video", "audio"]


def test_the_example_of_the_single_steps_writes_its_file(clips, tmp_path, monkeypatch):
    _, example = re.findall(r"```python\n(.*?)```", TEXTS[CORE_README], re.S)
    shutil.copy(clips / "bikes.mp4", tmp_path / "bikes.mp4")
    monkeypatch.chdir(tmp_path)
    exec(compile(example, "README.md", "exec"), {})
    with av.open("car.wav") as container:
        assert container.duration / av.time_base == pytest.approx(4.0)


@pytest.mark.parametrize(("page", "arguments"), [*block_commands()])
def test_commands_in_blocks_parse(page, arguments):
    parser, _ = build_parser()
    assert parser.parse_args(shlex.split(arguments)), page


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_commands_in_sentences_exist(page):
    """With `python -m audiox_core` before them, or as `lab evaluate`, `train lora`."""
    _, known = build_parser()
    choices = {
        name: {choice for a in known[name]._actions for choice in a.choices or ()}
        for name in ("lab", "train")
    }
    for code in inline(TEXTS[page]):
        first, *others = code.removeprefix(OURS).removeprefix(SEVERAL_GPUS).split() or [""]
        if code.startswith((OURS, SEVERAL_GPUS)) and first:
            assert first in known, code
        if first in choices and others:
            assert others[0] in choices[first] | {"…"}, code


def test_command_for_portable_windows_runs_in_an_isolated_python():
    """The `._pth` file of the embedded Python isolates it: `-m audiox_core` finds nothing."""
    (line,) = (c for c in commands(README) if " -c " in c)
    code, arguments = re.search(r'-c "(.*)" (.*)', line).groups()
    parser, _ = build_parser()
    assert parser.parse_args(shlex.split(arguments))
    run = [sys.executable, "-I", "-c", code, "--help"]
    found = subprocess.run(run, capture_output=True, text=True, check=False, cwd=ROOT)
    assert (found.returncode, "generate" in found.stdout) == (0, True), found.stderr


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_test_modules_exist(page):
    for module in re.findall(r"python -m (tests(?:\.\w+)+)", TEXTS[page]):
        path = ROOT / module.replace(".", "/")
        assert path.with_suffix(".py").is_file() or (path / "__main__.py").is_file(), module


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_bash_commands_joined_by_ands_have_a_powershell_version(page):
    powershell = blocks(TEXTS[page], "powershell")
    joined = [line for block in blocks(TEXTS[page], "sh") for line in block if " && " in line]
    assert [line for line in joined if line.split(" && ") not in powershell] == []


def test_every_option_of_generate_is_in_the_table():
    _, known = build_parser()
    actions = known["generate"]._actions
    options = {o for action in actions for o in action.option_strings if o.startswith("--")}
    missing = [o for o in options - {"--help"} if f"`{o}" not in TEXTS[CORE_README]]
    assert missing == []


def test_ci_runs_the_documented_test_command():
    (ci_command,) = re.findall(r"pip install .*pytest -.*", (ROOT / ".ci/run").read_text())
    test_command = ci_command.replace(" -q ", " ")
    assert test_command in inline(README)
    assert [test_command] in blocks(TEXTS[CORE_README], "sh")


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_to_files_and_headings(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", TEXTS[page]):
        if target.startswith("https://"):
            continue
        path, _, anchor = unquote(target).partition("#")
        linked = (page.parent / path).resolve() if path else page
        assert linked.is_file(), target
        if anchor:
            headings = re.findall(r"^#+ (.*)$", linked.read_text(encoding="utf-8"), re.M)
            assert anchor in [
                re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in headings
            ]


@pytest.mark.parametrize("page", PAGES[:5], ids=name_of)
def test_named_files_exist(page):
    folders = [page.parent, ROOT, ROOT / "audiox_core"]
    for code in inline(TEXTS[page]):
        if re.fullmatch(r"(?:[\w.-]+/)*[\w-]+\.(?:py|txt|toml|svg|gif)", code):
            assert any((folder / code).is_file() for folder in folders), code
        elif code.startswith("audiox_core/") and code.endswith("/"):
            assert (ROOT / code).is_dir(), code


def test_every_node_is_in_the_table():
    names = {
        keyword.value.value
        for path in (ROOT / "nodes").glob("*.py")
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(call, ast.Call)
        for keyword in call.keywords
        if keyword.arg == "display_name" and keyword.value.value.startswith("AudioX")
    }
    assert names
    rows = re.findall(r"^\| (AudioX [\w ,]+) \|", README, re.M)
    assert {name for row in rows for name in row.split(", ")} >= names


def test_gallery_shows_every_workflow():
    gallery = TEXTS[ROOT / "workflows" / "README.md"]
    names = [path.stem for path in (ROOT / "workflows").glob("*.json")]
    files = [f"({quote(name)}.json)" for name in names]
    files += [f"(graphs/{quote(name)}.jpg)" for name in names]
    assert (len(names), [file for file in files if file not in gallery]) == (17, [])


def test_gallery_lists_every_blueprint():
    gallery = TEXTS[ROOT / "workflows" / "README.md"]
    names = [path.stem for path in (ROOT / "subgraphs").glob("*.json")]
    missing = [n for n in names if f"(../subgraphs/{quote(n)}.json)" not in gallery]
    assert (len(names), missing) == (3, [])


def test_troubleshooting_table_quotes_real_error_messages():
    """Each message is a piece of one string in the code, without the values that it formats."""
    table = README.partition("| message | what to do |")[2].partition("\n\n")[0]
    quoted = re.findall(r"^\| `(.*?)` \|", table, re.M)
    assert len(quoted) >= 8
    strings = [
        node.value
        for folder in ("audiox_core", "nodes")
        for path in (ROOT / folder).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]
    assert [text for text in quoted if not any(text in string for string in strings)] == []


@pytest.mark.parametrize("name", ["yard.gif", "yard.mp4"])
def test_demo_clip_is_small_and_plays_in_browsers(name):
    path = ROOT / "audiox_core" / "assets" / name
    assert path.stat().st_size < 3_000_000
    with av.open(str(path)) as container:
        codecs = [stream.codec_context.name for stream in container.streams]
    assert sorted(codecs) == (["gif"] if name.endswith("gif") else ["aac", "h264"])


def test_workflow_notes_match_the_code_that_writes_them(write_workflows):
    for name, columns in write_workflows.GRAPHS.items():
        graph = json.loads((ROOT / "workflows" / f"{name}.json").read_text(encoding="utf-8"))
        saved = [n["widgets_values"][0] for n in graph["nodes"] if n["type"] == "Note"]
        written = [
            v["text"] for _, column in columns for _, kind, v, *_ in column if kind == "Note"
        ]
        assert saved == written
        assert [group["title"] for group in graph["groups"]] == [title for title, _ in columns]
