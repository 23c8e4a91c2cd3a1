"""`python -m tests.help_pictures`: photograph each node in use for its help page, in each language.

Needs a ComfyUI, Chromium and playwright. A node is shown in the first workflow that has it, or
alone; what is shown of workflows in `RUN` is after a run of the embedded model. Then run
`python -m tests.help_pages`.
"""

import io
import json
import tempfile
from pathlib import Path

from PIL import Image

from .help_pages import HELP, WORKFLOWS
from .host import Browser, Server, browser
from .locales import languages

RUN = ("AudioX Takes for a Video", "AudioX Layers and Mix")  # they show more after a run
QUALITY, LONGEST = 60, 720  # of WebP, pixels
ALONE = """(type) => {
  app.graph.clear();
  const node = LiteGraph.createNode(type);
  app.graph.add(node);
}"""
FRAME = """(type) => {
  const canvas = app.canvas;
  const node = (app.graph._nodes ?? app.graph.nodes).find(n => n.type === type);
  canvas.deselectAll?.();
  canvas.ds.scale = 1;
  canvas.ds.offset[0] = 400 - node.pos[0];
  canvas.ds.offset[1] = 180 - node.pos[1];
  canvas.show_info = false;
  canvas.setDirty(true, true);
  return [...node.size];
}"""
WITHOUT_MENUS = "[class*=minimap], .p-toast, .p-buttongroup {display: none !important}"


def chosen_workflows(node_ids: list[str]) -> dict[str, str | None]:
    """The workflow in which each node is shown; None: alone."""
    paths = sorted(WORKFLOWS.glob("*.json"), key=lambda path: (path.stem not in RUN, path.stem))
    graphs = {path.stem: path.read_text(encoding="utf-8") for path in paths}
    return {
        node_id: next(
            (name for name, text in graphs.items() if f'"type": "{node_id}"' in text), None
        )
        for node_id in node_ids
    }


def photograph(front_end: Browser, node_id: str, path: Path) -> None:
    """Save a node and what is next to it as WebP."""
    for _ in range(2):  # a text box has its height only after it was drawn once
        width, height = front_end.page.evaluate(FRAME, node_id)
        front_end.page.wait_for_timeout(500)
    shown = {"x": 350, "y": 120, "width": min(width + 100, 900), "height": min(height + 80, 720)}
    picture = Image.open(io.BytesIO(front_end.page.screenshot(clip=shown)))
    picture.thumbnail((LONGEST, LONGEST))
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.convert("RGB").save(path, quality=QUALITY, method=6)


def photograph_nodes(front_end: Browser, language: str) -> None:
    """Save a picture of every node."""
    ours = sorted(path.stem for path in HELP.glob("*.md"))
    places = chosen_workflows(ours)
    front_end.page.add_style_tag(content=WITHOUT_MENUS)
    for name in dict.fromkeys(places.values()):
        if name is not None:
            workflow = json.loads((WORKFLOWS / f"{name}.json").read_text(encoding="utf-8"))
            if name in RUN:
                front_end.run(workflow, {}, seconds=600)
                front_end.page.wait_for_timeout(1_500)
            else:
                front_end.open(workflow)
        for node_id in (node_id for node_id in ours if places[node_id] == name):
            if name is None:
                front_end.page.evaluate(ALONE, node_id)
            photograph(front_end, node_id, HELP / node_id / f"{language}.webp")


def main() -> None:
    """Photograph every node in every language."""
    with (
        tempfile.TemporaryDirectory() as scratch,
        Server(Path(scratch), folder="ComfyUI-AudioX") as server,
        browser(server.url) as front_end,
    ):
        for language in languages():
            server.post("/settings", {"Comfy.Locale": language, "Comfy.TutorialCompleted": True})
            front_end.load()
            photograph_nodes(front_end, language)


if __name__ == "__main__":
    main()
