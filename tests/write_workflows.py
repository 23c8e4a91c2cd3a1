"""`python -m tests.write_workflows [NAME ...]`: write workflows, blueprints, pictures, help pages.

ComfyUI's front end creates, connects and serializes the graphs of `workflow_graphs`, so the files
always match the current schema. Each template runs once with the embedded model, and its thumbnail
shows the sound. Needs a ComfyUI with subgraphs, and Chromium. Without names, all are written.
"""

import json
import sys
import tempfile
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from audiox_core.hub.models import FILES

from .help_pages import WORKFLOWS, write_help_pages
from .host import ROOT, Server, browser
from .nodes.test_contracts import SAVED, reduced
from .thumbnails import write_thumbnail
from .workflow_graphs import BLUEPRINTS, CATEGORY, GRAPHS, WAN, Blueprint

BLUEPRINT_FILES = ROOT / "subgraphs"
PICTURES = WORKFLOWS / "graphs"  # of whole graphs
LABELS = ("Turbo", "Wan", "Takes", "Refine", "Loop", "KSampler", "Layers", "Timeline")  # written
WAN_NODES = {
    "UNETLoader", "CLIPLoader", "VAELoader", "ModelSamplingSD3", "CLIPTextEncode",
    "EmptyHunyuanLatentVideo", "KSampler", "VAEDecode",
}  # fmt: skip

# `groups` is a list of [title, columns], a column a list of [name, type, inputs, more]; returns the
# nodes by name. A wire that passes other columns runs above them, so that no node hides it.
LAY_OUT = """
const LINK = /^([a-z]+\\d?)\\.(\\d)$/;
const SIZES = { AudioXTakes: [480, 860], AudioXPreview: [480, 500] };
// below a node, for what it shows when it has run
const ROOMS = { SaveVideo: 320, AudioXMix: 190 };
const SPEAKS = /AudioX(Load|EncodeV|EncodeT|Soundtrack|S[ac]|Layer|Guider)/;
const GAP = 110, PADDING = 20, LANE = 18;

function wires(groups) {
  const column = {}, found = [];
  const columns = groups.flatMap(([, columns]) => columns);
  columns.forEach((nodes, at) => nodes.forEach(([name]) => { column[name] = at; }));
  for (const [name, , values] of columns.flat())
    for (const [key, value] of Object.entries(values)) {
      const link = typeof value === "string" && LINK.exec(value);
      if (link) found.push({ from: link[1], slot: Number(link[2]), to: name, key,
                             first: column[link[1]], last: column[name] });
    }
  return found;
}

// the lane of each output with a wire that passes other columns
function lanes(found) {
  const spans = new Map(), free = [];
  for (const { from, slot, first, last } of found)
    if (last > first + 1) {
      const span = spans.get(`${from}.${slot}`) ?? { first, last };
      spans.set(`${from}.${slot}`, { first, last: Math.max(span.last, last) });
    }
  const sorted = [...spans].sort(([, a], [, b]) => a.first - b.first || b.last - a.last);
  const lane = new Map();
  for (const [output, { first, last }] of sorted) {
    let at = free.findIndex(end => end <= first);
    if (at < 0) at = free.length;
    free[at] = last;
    lane.set(output, at);
  }
  return lane;
}

// the whole graph in a window of usual size, but not too small to read
function view() {
  const boxes = app.graph._groups.map(g => [...g.pos, g.pos[0] + g.size[0], g.pos[1] + g.size[1]]);
  const left = Math.min(...boxes.map(b => b[0])), right = Math.max(...boxes.map(b => b[2]));
  const scale = Math.round(100 * Math.min(1, Math.max(0.4, 1480 / (right - left)))) / 100;
  return { scale, offset: [80 / scale - left, 130 / scale - 30] };
}

function noteSize(text) {
  const lines = text.split("\\n").map(line => Math.max(1, Math.ceil(line.length / 50)));
  return [340, 50 + 15 * lines.reduce((a, b) => a + b, 0)];
}

function layOut(groups) {
  const made = {}, found = wires(groups), lane = lanes(found);
  const top = 110 + LANE * (lane.size ? Math.max(...lane.values()) + 1 : 0);
  const edges = {}, boxes = [];
  let x = 40, bottom = 0;
  for (const [title, columns] of groups) {
    const first = x;
    for (const nodes of columns) {
      let y = top, width = 0;
      for (const [name, type, values, more] of nodes) {
        const node = LiteGraph.createNode(type);
        app.graph.add(node);
        made[name] = node;
        for (const [key, value] of Object.entries(values)) {
          const widget = (node.widgets ?? []).find(w => w.name === key);
          if (widget && !(typeof value === "string" && LINK.test(value))) widget.value = value;
        }
        if (type === "Note") node.widgets[0].value = values.text;
        Object.assign(node.properties, more?.properties ?? {});
        const least = node.computeSize();
        node.setSize(type === "Note" ? noteSize(values.text)
                     : SIZES[type] ?? [Math.max(least[0], 300), least[1]]);
        width = Math.max(width, node.size[0]);
        node.pos = [x, y];
        y += node.size[1] + 40 + (more?.room ?? ROOMS[type] ?? (SPEAKS.test(type) ? 90 : 30));
      }
      for (const [name] of nodes) {
        made[name].setSize([width, made[name].size[1]]);
        edges[name] = [x, x + width];
      }
      bottom = Math.max(bottom, y);
      x += width + GAP;
    }
    boxes.push([title, first - PADDING, x - GAP + PADDING]);
  }
  for (const [title, left, right] of boxes) {
    const group = new LiteGraph.LGraphGroup(title);
    group.pos = [left, 30];
    group.size = [right - left, bottom - 30];
    app.graph.add(group);
  }
  const starts = new Map();  // output -> the first reroute of its wires
  for (const { from, slot, to, key, first, last } of found) {
    const input = made[to].inputs.findIndex(i => i.name === key);
    if (input < 0) throw new Error(`${to} has no input ${key}`);
    const output = `${from}.${slot}`;
    if (last <= first + 1) { made[from].connect(slot, made[to], input); continue; }
    const y = 80 + LANE * lane.get(output), aside = 24 + 5 * lane.get(output);
    const start = starts.get(output);
    const link = made[from].connect(slot, made[to], input, start?.id);
    if (!start) {
      const x = edges[from][1] + aside, low = made[from].pos[1] + 14 + 20 * slot;
      if (low > y + 400) app.graph.createReroute([x, low], link);  // else it would swing out
      starts.set(output, app.graph.createReroute([x, y], link));
    }
    app.graph.createReroute([edges[to][0] - aside, y], link);
  }
  return made;
}
"""

BUILD = f"""async (groups) => {{
  {LAY_OUT}
  app.graph.clear();
  layOut(groups);
  await new Promise(r => setTimeout(r, 300));
  const prompt = (await app.graphToPrompt()).output, graph = app.graph.serialize();
  graph.extra = {{ ...graph.extra, ds: view() }};
  return {{ graph, prompt }};
}}"""

BUILD_BLUEPRINT = f"""async ({{ name, description, category, groups, inputs, outputs }}) => {{
  {LAY_OUT}
  app.graph.clear();
  const made = layOut(groups);
  const items = [...app.graph._nodes, ...app.graph._groups, ...app.graph.reroutes.values()];
  const {"{ subgraph, node }"} = app.graph.convertToSubgraph(new Set(items));
  subgraph.name = node.title = name;
  for (const input of [...subgraph.inputs]) subgraph.removeInput(input);  // a seed adds itself
  const inside = id => subgraph.getNodeById(id);
  const ids = Object.fromEntries(Object.entries(made).map(([key, n]) => [key, n.id]));
  for (const [outer, targets] of Object.entries(inputs))
    for (const target of targets) {{
      const [key, slotName] = target.split(".");
      const node = inside(ids[key]);
      const slot = node.inputs.find(i => i.name === slotName);
      if (!slot) throw new Error(`${{key}} has no input ${{slotName}}`);
      const known = subgraph.inputs.find(i => i.name === outer);
      (known ?? subgraph.addInput(outer, slot.type)).connect(slot, node);
    }}
  for (const [outer, source] of Object.entries(outputs)) {{
    const [key, at] = source.split(".");
    const slot = inside(ids[key]).outputs[Number(at)];
    subgraph.addOutput(outer, slot.type).connect(slot, inside(ids[key]));
  }}
  node.pos = [100, 100];
  node.setSize([380, node.computeSize()[1]]);
  await new Promise(r => setTimeout(r, 300));
  const graph = app.graph.serialize();
  Object.assign(graph.definitions.subgraphs[0], {{ category, description }});
  return graph;
}}"""


def with_columns(groups: list) -> list:
    """Groups of nodes -> groups of columns, in which every link leads to the right."""
    laid_out = []
    for title, nodes in groups:
        depth: dict[str, int] = {}
        columns: list[list] = []
        for node in nodes:
            sources = {str(value).partition(".")[0] for value in node[2].values()}
            depth[node[0]] = at = 1 + max((depth[s] for s in sources & {*depth}), default=-1)
            columns += [[]] if at == len(columns) else []
            columns[at].append(node)
        laid_out.append([title, columns])
    return laid_out


def _tidy(value: Any) -> Any:
    """Without the fields that the front end leaves empty."""
    if isinstance(value, dict):
        return {k: _tidy(v) for k, v in value.items() if v is not None or k in {"link", "links"}}
    return [_tidy(item) for item in value] if isinstance(value, list) else value


def _write_json(path: Path, graph: dict, name: str) -> None:
    graph["id"] = str(uuid5(NAMESPACE_URL, f"audiox/{name}"))
    path.write_text(json.dumps(graph, indent=1) + "\n", encoding="utf-8")


def runnable(prompt: dict) -> dict:
    """A template's prompt without released models: the embedded one, and a clip instead of Wan."""
    (loader,) = (n for n in prompt.values() if n["class_type"] == "AudioXLoadCheckpoint")
    loader["inputs"] = {"file": "embedded", "weight_dtype": "default"}
    if "UNETLoader" not in {node["class_type"] for node in prompt.values()}:
        return prompt
    prompt = {k: node for k, node in prompt.items() if node["class_type"] not in WAN_NODES}
    clip = {"class_type": "AudioXExample", "inputs": {"which": "ball"}}
    parts = {"class_type": "GetVideoComponents", "inputs": {"video": ["clip", 0]}}
    for node in prompt.values():
        inputs = node["inputs"]
        if "images" in inputs:
            inputs.update(images=["parts", 0], fps=24.0)
    return {**prompt, "clip": {**clip, "_meta": {}}, "parts": {**parts, "_meta": {}}}


def _write_template(server: Server, name: str, groups: list) -> None:
    path = WORKFLOWS / f"{name}.json"
    # a page for each: the front end remembers widgets by the number of their node
    with browser(server.url, (2000, 900)) as front_end:
        made = _tidy(front_end.page.evaluate(BUILD, with_columns(groups)))
        _write_json(path, made["graph"], name)
        front_end.screenshot(PICTURES / f"{name}.jpg")
    entry = server.queue(runnable(made["prompt"]))
    if entry["status"]["status_str"] != "success":
        raise SystemExit(f"{name} does not run: {entry}")
    shown = (v["which"] for _, nodes in groups for _, kind, v, *_ in nodes
             if kind == "AudioXExample")  # fmt: skip
    write_thumbnail(
        path.with_suffix(".jpg"),
        sound=_sound_of(server, entry),
        example=next(shown, "ball" if "Wan" in name else ""),
        label=next((word for word in LABELS if word in name), ""),
    )


def _sound_of(server: Server, entry: dict) -> Path:
    """The last file with sound that a run left."""
    shown = [file for out in entry["outputs"].values() for kind in out.values() for file in kind]
    files = [file for file in shown if isinstance(file, dict) and "filename" in file]
    last = [file for file in files if file["filename"].endswith((".flac", ".mp4"))][-1]
    return server.scratch / last["type"] / last["subfolder"] / last["filename"]


def _write_blueprint(server: Server, name: str, blueprint: Blueprint) -> None:
    given = {
        "name": name, "description": blueprint.description, "category": CATEGORY,
        "groups": with_columns(blueprint.groups), "inputs": blueprint.inputs,
        "outputs": blueprint.outputs,
    }  # fmt: skip
    with browser(server.url) as front_end:
        made = _tidy(front_end.page.evaluate(BUILD_BLUEPRINT, given))
    made["extra"]["BlueprintSearchAliases"] = blueprint.aliases  # the front end's own key
    definition = made["definitions"]["subgraphs"][0]
    text = json.dumps(made)
    slots = [*definition["inputs"], *definition["outputs"]]
    for number, old in enumerate([definition["id"], *(slot["id"] for slot in slots)]):
        text = text.replace(old, str(uuid5(NAMESPACE_URL, f"audiox/{name}/{number}")))
    _write_json(BLUEPRINT_FILES / f"{name}.json", json.loads(text), name)


def main(names: list[str]) -> None:
    """Write every workflow with its pictures, the blueprints, the schemas and the help pages."""
    for folder in (WORKFLOWS, PICTURES, BLUEPRINT_FILES):
        folder.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        models = Path(scratch) / "models"  # the front end lists what is there
        listed = [(file.directory, file.name) for file in FILES.values()]
        for directory, name in [*listed, *WAN.items()]:
            (models / directory).mkdir(parents=True, exist_ok=True)
            (models / directory / name).touch()
        with Server(Path(scratch), folder="ComfyUI-AudioX") as server:
            object_info = server.get("/object_info")
            ours = {n: reduced(i) for n, i in object_info.items() if n.startswith("AudioX")}
            SAVED.write_text(json.dumps(ours, indent=1) + "\n", encoding="utf-8")
            for name, groups in GRAPHS.items():
                if not names or name in names:
                    _write_template(server, name, groups)
            for name, blueprint in BLUEPRINTS.items():
                if not names or name in names:
                    _write_blueprint(server, name, blueprint)
            write_help_pages(object_info)


if __name__ == "__main__":
    main(sys.argv[1:])
