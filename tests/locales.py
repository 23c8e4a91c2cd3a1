"""The texts of the nodes in each language, as ComfyUI's front end reads them from `locales/`.

English texts are in the schemas and in `tests/help_pages.py`. Another language is one table,
`locales/<language>.json`: each English text of the pack with its translation, and each message that
a node shows. `python -m tests.help_pages` writes `locales/<language>/` and the help pages from it.
To add a language, copy `zh.json` under ComfyUI's name of the language and translate its values;
tests/test_locales.py lists what is missing.
"""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from .host import ROOT

LOCALES = ROOT / "locales"
ENGLISH = "en"
# their options differ by machine
OPTIONS_OF_THE_HOST = {
    "file", "vae_file", "synchformer_file", "text_encoder_file", "sampler_name", "scheduler",
}  # fmt: skip
OUR_OPTIONS = {"auto", "embedded", "model default"}  # of these combos
Say = Callable[[str], str]  # English text -> text in a language


def languages() -> list[str]:
    """All languages; English is the first."""
    return [ENGLISH, *sorted(path.stem for path in LOCALES.glob("*.json"))]


def table(language: str) -> dict[str, dict[str, str]]:
    """The translations of a language: `texts` by the English text, and `messages`."""
    if language == ENGLISH:
        return {"texts": {}, "messages": {}}
    return json.loads((LOCALES / f"{language}.json").read_text(encoding="utf-8"))


def speaker(language: str) -> Say:
    """A function that translates texts; a text that the table lacks stays English."""
    texts = table(language)["texts"]
    return lambda text: texts.get(text, text)


def options_of(name: str, kind: Any, settings: Mapping[str, Any]) -> list[str]:
    """The options of a combo that are words and the same on every machine."""
    options = settings.get("options") or (kind if isinstance(kind, list) else [])
    if name in OPTIONS_OF_THE_HOST:
        return [option for option in options if option in OUR_OPTIONS]
    words = [option for option in options if option.replace(" ", "").isalpha()]
    return [word for word in words if word != "audiox"]  # a model's name


def inputs_of(node: Mapping[str, Any]) -> list[tuple[str, Any, dict[str, Any], bool]]:
    """Name, type, settings of each input, and whether it is optional."""
    return [
        (name, *node["input"][kind][name], kind == "optional")
        for kind in ("required", "optional")
        for name in node["input_order"].get(kind, [])
    ]


def outputs_of(node: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Name, type and tooltip of each output."""
    return list(zip(node["output_name"], node["output"], node["output_tooltips"], strict=True))


def node_texts(node: Mapping[str, Any], say: Say) -> dict[str, Any]:
    """The entry of a node in `nodeDefs.json`, of its entry in ComfyUI's `/object_info`."""
    inputs = {}
    for name, kind, settings, _ in inputs_of(node):
        inputs[name] = {"name": say(name), "tooltip": say(settings["tooltip"])}
        if options := options_of(name, kind, settings):
            inputs[name]["options"] = {option: say(option) for option in options}
    return {
        "display_name": say(node["display_name"]),
        "description": say(node["description"]),
        "search_aliases": [say(alias) for alias in node.get("search_aliases", [])],
        "inputs": inputs,
        "outputs": {
            str(index): {"name": say(name), "tooltip": say(tooltip)}
            for index, (name, _, tooltip) in enumerate(outputs_of(node))
        },
    }


def other_texts(nodes: Mapping[str, Any], say: Say) -> dict[str, dict[str, str]]:
    """`main.json` without messages: the folders of the menu, and our types of sockets."""
    folders = {part for node in nodes.values() for part in node["category"].split("/")}
    kinds = {kind for node in nodes.values() for _, kind, _ in outputs_of(node)}
    ours = sorted(kind for kind in kinds if kind.startswith("AUDIOX_"))
    return {
        "nodeCategories": {folder: say(folder) for folder in sorted(folders)},
        "dataTypes": {kind: say(kind) for kind in ours},
    }


def locale_files(nodes: Mapping[str, Any], language: str) -> dict[Path, dict[str, Any]]:
    """The files of a language and their contents.

    Args:
        nodes: of this pack, as in ComfyUI's `/object_info`.
        language: such as `en`.
    """
    say, messages = speaker(language), table(language)["messages"]
    main = other_texts(nodes, say) | ({"audiox": messages} if messages else {})
    defs = {node_id: node_texts(node, say) for node_id, node in nodes.items()}
    folder = LOCALES / language
    return {folder / "main.json": main, folder / "nodeDefs.json": defs}


def write_locales(nodes: Mapping[str, Any]) -> None:
    """Write `locales/<language>/` for every language."""
    for language in languages():
        for path, texts in locale_files(nodes, language).items():
            path.parent.mkdir(parents=True, exist_ok=True)
            text = json.dumps(texts, ensure_ascii=False, indent=1)
            path.write_text(text + "\n", encoding="utf-8")
