"""Formatting and vocabulary: ruff, and words that the code base does not use.

The field's terms are used instead of private words, so that a reader never has to guess.
"""

import ast
import importlib.util
import json
import re
import subprocess
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = [
    path for folder in ("audiox_core", "nodes", "tests") for path in (ROOT / folder).rglob("*.py")
]
PAGES = [path for path in ROOT.rglob("*.md") if not {".git", "clips"} & set(path.parts)]

# a word of an identifier or of a file's name -> what to use instead
PRIVATE_WORDS = {
    r"roads?": "pipeline",
    r"opposed": "negative",
    r"gathered": "all_gather",
    r"guessing": "encoder pretraining",
    r"vocoder": "vae_init",
    r"companions?": "auxiliary files",
    r"strangers?": "foreign checkpoints",
    r"tally|tallied": "checksum",
    r"eyes|ears": "image encoders, audio conditioner",
    r"whoever": "a noun that says who it is",
}
# a whole identifier or file name -> what to use instead
PRIVATE_NAMES = {
    r"known_latent": "init_latent",
    r"audible": "check_finite, limit_peak",
    r"team|Team": "distributed",
    r"leads": "is_main",
    r"BrokenItem\w*": "invalid items",
    r"_?told": "position init; otherwise a verb that says what is done",
    r"look_twice|second_look": "encode_sync",
    r"_?made_of": "data_fingerprint",
    r"settled": "resolved",
    r"ALIKE": "AMBIGUOUS_VARIANTS",
    r"PROBE|noise_in_answer": "objective probe",
    r"described_seconds": "conditioned_seconds",
    r"_Coder": "VAE adapter",
    r"guide_clean": "guide_denoised",
    r"fresh_noise": "noise_sampler",
    r"keep_for_a_run|_Contexts": "RunCache",
    r"FREE|WITHIN": "a name that says what it bounds",
}
# in texts for users, docstrings and comments: what to write instead
PRIVATE_PHRASES = {
    r"\bshall\b": "an imperative, or 'must'",
    r"\banew\b": "again; 'made anew' is 'regenerated'",
    r"\bwhoever\b": "the user",
    r"\bof which none\b": "none of them",
    r"\bdear\b": "slow, or expensive",
    r"\bthe road\b": "the pipeline",
    r"\bgo(?:es)? on (?:with|from|where)\b": "continue",
    r"\bdo as well\b": "also work",
    r"\bsecond look\b|\blook(?:s|ed)? twice\b": "Synchformer features",
    r"\btoy world\b": "synthetic world",
    r"\bnobody says otherwise\b": "the default",
    r"\bknows? no words?\b": "recognizes no word",
    r"\btamed?s?\b": "reduces",
    r"\bfor want of\b": "because of too little",
    r"\bspecification\b": "the paper, or a document of this repository",
}


def identifiers(tree: ast.AST) -> Iterator[str]:
    """The names that a module defines."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.arg):
            yield node.arg
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.attr


def words_of(name: str) -> list[str]:
    """`make_FooBar` -> make, foo, bar."""
    return [w.lower() for w in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", name)]


def strings(path: Path) -> Iterator[str]:
    """The strings of a module: errors, log lines, help, tooltips, docstrings."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def explanations(path: Path) -> Iterator[str]:
    """The docstrings of a module, then its comments."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield ast.get_docstring(node) or ""
    with path.open("rb") as file:
        comments = [t for t in tokenize.tokenize(file.readline) if t.type == tokenize.COMMENT]
    yield from (comment.string for comment in comments)


def private_in(text: str, patterns: dict[str, str]) -> Iterator[tuple[str, str]]:
    """The private words in a text, and what to use instead; a line break counts as a space."""
    for pattern, use in patterns.items():
        for match in re.finditer(pattern, " ".join(text.split()), re.I):
            yield match[0], use


@pytest.mark.skipif(importlib.util.find_spec("ruff") is None, reason="ruff is not installed")
@pytest.mark.parametrize("command", [["check"], ["format", "--check"]], ids=" ".join)
def test_ruff_finds_nothing(command):
    ruff = [sys.executable, "-m", "ruff", *command, str(ROOT)]
    run = subprocess.run(ruff, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout


def test_identifiers_and_file_names_use_the_terms_of_the_field():
    found = []
    for path in SOURCES:
        where = path.relative_to(ROOT).as_posix()
        names = {path.stem, *identifiers(ast.parse(path.read_text(encoding="utf-8")))}
        for name in sorted(names):
            uses = [use for pattern, use in PRIVATE_NAMES.items() if re.fullmatch(pattern, name)]
            for pattern, use in PRIVATE_WORDS.items():
                uses += [use for word in words_of(name) if re.fullmatch(pattern, word)]
            found += [f"{where}: {name} -> {use}" for use in uses]
    assert found == []


def test_texts_use_plain_technical_english():
    texts = [(path, text) for path in PAGES for text in [path.read_text(encoding="utf-8")]]
    code = [path for path in SOURCES if "tests" not in path.relative_to(ROOT).parts]
    texts += [(path, text) for path in code for text in strings(path)]
    for path in (ROOT / "workflows").glob("*.json"):
        graph = json.loads(path.read_text(encoding="utf-8"))
        notes = [n["widgets_values"][0] for n in graph["nodes"] if n["type"] == "Note"]
        texts += [(path, text) for text in notes]
    found = [
        f"{path.relative_to(ROOT).as_posix()}: {word!r} -> {use}"
        for path, text in texts
        for word, use in private_in(text, PRIVATE_PHRASES)
    ]
    assert found == []


def test_docstrings_and_comments_use_the_terms_of_the_field():
    patterns = PRIVATE_PHRASES | {rf"\b(?:{p})\b": use for p, use in PRIVATE_WORDS.items()}
    patterns[r"(?<!channel )\bvocoder\b"] = patterns.pop(r"\b(?:vocoder)\b")  # a real term
    found = [
        f"{path.relative_to(ROOT).as_posix()}: {word!r} -> {use}"
        for path in SOURCES
        for text in explanations(path)
        for word, use in private_in(text, patterns)
    ]
    assert found == []


def test_private_words_in_docstrings_and_comments_are_found(tmp_path):
    path = tmp_path / "module.py"
    path.write_text('"""The second\nlook."""\n\nX = 1  # of the toy world\n')
    texts = [*explanations(path)]
    assert [w for text in texts for w, _ in private_in(text, PRIVATE_PHRASES)] == [
        "second look",
        "toy world",
    ]
