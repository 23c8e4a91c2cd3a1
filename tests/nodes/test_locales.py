"""Texts of the nodes: English ones match the schemas, others are complete, help pages match both.

If a test fails after a text was changed, add its translation to `locales/<language>.json` and run
`python -m tests.help_pages`.
"""

import ast
import json
import re

import pytest

# words of ComfyUI that are the same in every language
SAME = {"AudioX", "CFG", "CFG {}", "CLIP", "LUFS", "Latent", "Sigmas", "VAE"}
LETTERS = {"zh": "[\u4e00-\u9fff]"}  # of a language
NUMBER = re.compile(r"\d+(?:\.\d+)?")
OTHER_LANGUAGES = ["zh"]


@pytest.fixture(scope="module")
def ours(node, locales) -> dict[str, dict]:
    """The nodes as in ComfyUI's `/object_info`, with aliases where the host has none."""
    saved = json.loads((locales.LOCALES / "en" / "nodeDefs.json").read_text(encoding="utf-8"))
    aliases = {name: texts["search_aliases"] for name, texts in saved.items()}
    infos = {name: kind.GET_NODE_INFO_V1() for name, kind in node.classes.items()}
    return {name: {"search_aliases": aliases.get(name), **info} for name, info in infos.items()}


@pytest.fixture(scope="module")
def english(ours, locales, help_pages) -> set[str]:
    """Every English text that a language has to translate."""
    texts = set()

    def say(text: str) -> str:
        texts.add(text)
        return text

    for name, info in ours.items():
        locales.node_texts(info, say)
        help_pages.help_page(name, info, locales.ENGLISH, say)
    locales.other_texts(ours, say)
    return texts


def test_every_table_of_translations_is_tested(locales):
    assert locales.languages() == [locales.ENGLISH, *OTHER_LANGUAGES]


@pytest.mark.parametrize("language", ["en", *OTHER_LANGUAGES])
def test_the_files_of_a_language_match_the_schemas_and_its_table(ours, locales, language):
    for path, texts in locales.locale_files(ours, language).items():
        assert json.loads(path.read_text(encoding="utf-8")) == texts


def test_help_pages_match_the_schemas(ours, help_pages):
    pages = dict(help_pages.help_files(ours))
    assert set(help_pages.HELP.rglob("*.md")) == set(pages)
    for path, page in pages.items():
        assert path.read_text(encoding="utf-8") == page


@pytest.mark.parametrize("language", OTHER_LANGUAGES)
def test_every_text_has_a_translation_and_every_translation_a_text(english, locales, language):
    known = locales.table(language)["texts"]
    missing = sorted(english - set(known))
    assert not missing, "to translate:\n" + json.dumps(missing, indent=1)
    assert not sorted(set(known) - english), "no longer used"


@pytest.mark.parametrize("language", OTHER_LANGUAGES)
def test_translations_are_in_their_language(locales, language):
    table, letters = locales.table(language), re.compile(LETTERS[language])
    for text, translation in [*table["texts"].items(), *table["messages"].items()]:
        if re.search(r"\w", text):
            assert letters.search(translation) or translation in SAME, text


@pytest.mark.parametrize("language", OTHER_LANGUAGES)
def test_translations_keep_the_numbers_and_code_of_the_text(locales, language):
    for text, translation in locales.table(language)["texts"].items():
        assert set(NUMBER.findall(text)) <= set(NUMBER.findall(translation)), text
        assert text.count("`") == translation.count("`"), text


@pytest.mark.parametrize("language", OTHER_LANGUAGES)
def test_texts_have_no_marks_of_vue_i18n(locales, language):
    """The front end takes braces, `@` and `|` for its own syntax."""
    for pair in locales.table(language)["texts"].items():
        assert not re.search(r"[{}|@]", "".join(pair)), pair


@pytest.mark.parametrize("language", OTHER_LANGUAGES)
def test_messages_are_those_of_the_code(locales, host, language):
    """The words of a message are in strings of the code."""
    files = [
        path for folder in ("nodes", "audiox_core") for path in (host.ROOT / folder).rglob("*.py")
    ]
    strings = [(host.ROOT / "web" / "js" / "audiox.js").read_text(encoding="utf-8")]
    for path in files:
        nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        strings += [
            n.value for n in nodes if isinstance(n, ast.Constant) and isinstance(n.value, str)
        ]
    code = "\n".join(strings)
    for message, translation in locales.table(language)["messages"].items():
        assert all(word in code for word in re.findall(r"[A-Za-z]{3,}", message)), message
        assert message.count("{}") == translation.count("{}"), message


def test_every_node_can_be_searched_by_what_it_does(ours):
    for name, info in ours.items():
        assert len(info["search_aliases"] or []) > 1, name
        assert info["description"], name


def test_no_node_is_listed_among_comfyuis_essentials(ours):
    """Their front end would show it as a node of ComfyUI itself, without our help page."""
    assert not [name for name, info in ours.items() if info.get("essentials_category")]
