"""Subgraph blueprints: one node each, listed by ComfyUI, run and saved again by its front end."""

import json
from pathlib import Path

import av
import pytest

ROOT = Path(__file__).parents[1]
BLUEPRINTS = sorted((ROOT / "subgraphs").glob("*.json"))
EXPOSED = {  # the sockets and widgets of the one node
    "AudioX Soundtrack this Video": [
        "video", "prompt", "negative prompt", "seed", "model", "video strength",
        "keep original sound",
    ],
    "AudioX Music for this Video": [
        "video", "prompt", "negative prompt", "seed", "model", "video strength",
        "keep original sound",
    ],
    "AudioX Sound from Text": [
        "prompt", "negative prompt", "seconds", "seed", "model", "prompt strength",
    ],
}  # fmt: skip


def read(path: Path) -> dict:
    return json.loads(path.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def front_end(host, tmp_path_factory):
    if reason := host.why_no_browser():
        pytest.skip(reason)
    if not (host.find_comfyui() / "app" / "subgraph_manager.py").is_file():
        pytest.skip("this ComfyUI has no subgraph blueprints")
    scratch = tmp_path_factory.mktemp("blueprints")
    with host.Server(scratch) as server, host.browser(server.url) as page:
        page.server = server
        yield page


def test_there_is_a_blueprint_for_each_of_the_three_tasks():
    assert [path.stem for path in BLUEPRINTS] == sorted(EXPOSED)


@pytest.mark.parametrize("path", BLUEPRINTS, ids=lambda path: path.stem)
def test_a_blueprint_is_one_node_of_its_only_subgraph(path):
    graph = read(path)
    (node,), (subgraph,) = graph["nodes"], graph["definitions"]["subgraphs"]
    assert node["type"] == subgraph["id"]
    assert (subgraph["name"], subgraph["category"]) == (path.stem, "AudioX")
    assert subgraph["description"]
    assert len(graph["extra"]["BlueprintSearchAliases"]) > 5
    assert [slot["name"] for slot in subgraph["inputs"]] == EXPOSED[path.stem]
    assert [slot["name"] for slot in node["inputs"]] == EXPOSED[path.stem]
    widgets = [slot["name"] for slot in node["inputs"] if "widget" in slot]
    assert widgets == [name for name in EXPOSED[path.stem] if name != "video"]


def test_comfyui_lists_the_blueprints(front_end):
    listed = front_end.server.get("/global_subgraphs")
    ours = {entry["name"] for entry in listed.values() if entry["source"] == "custom_node"}
    assert ours == {*EXPOSED}


RUN = """async ([graph, values]) => {
  await app.loadGraphData(graph, true, true, null, {});
  const node = app.graph._nodes[0];
  for (const [name, value] of Object.entries(values)) {
    const widget = node.widgets.find(w => w.name === name || w.label === name);
    if (!widget) throw new Error(`no widget ${name}: ${node.widgets.map(w => w.name)}`);
    widget.value = value;
  }
  const add = (type, pos) => {
    const made = LiteGraph.createNode(type);
    app.graph.add(made);
    made.pos = pos;
    return made;
  };
  const into = node.inputs.findIndex(i => i.name === "video");
  if (into >= 0) {
    add("AudioXExample", [-400, 100]).connect(0, node, into);
    node.connect(0, add("SaveVideo", [600, 100]), 0);
  } else {
    const preview = add("AudioXPreview", [600, 100]);
    preview.widgets.find(w => w.name === "save_as").value = "audio/blueprint";
    node.connect(0, preview, 0);
  }
  for (const inner of node.subgraph._nodes)
    if (inner.type === "AudioXSampler") inner.widgets.find(w => w.name === "steps").value = 2;
  await app.queuePrompt(0, 1);
}"""


@pytest.mark.parametrize("path", BLUEPRINTS, ids=lambda path: path.stem)
def test_a_blueprint_runs_with_what_its_one_node_says(front_end, path):
    video = "video" in EXPOSED[path.stem]
    values = {"prompt": "rain on a tin roof", "negative prompt": "birds", "seed": 11}
    values |= {"keep original sound": True, "video strength": 0.5} if video else {"seconds": 4.0}
    entry = front_end.press(RUN, [read(path), values])
    assert entry["status"]["status_str"] == "success", entry["status"]
    sent = {}
    for node in entry["prompt"][2].values():
        sent.setdefault(node["class_type"], []).append(node["inputs"])
    assert {inputs["text"] for inputs in sent["AudioXEncodeText"]} == {
        "rain on a tin roof",
        "birds",
    }
    (sampler,), (mask,) = sent["AudioXSampler"], sent["AudioXMaskedConditioning"]
    assert sampler["seed"] == 11
    files = [f for out in entry["outputs"].values() for kind in out.values() for f in kind
             if isinstance(f, dict) and f.get("type") == "output"]  # fmt: skip
    (file,) = files
    made = front_end.server.scratch / "output" / file["subfolder"] / file["filename"]
    with av.open(str(made)) as container:
        seconds = container.duration / av.time_base
        kinds = {stream.type for stream in container.streams}
    if video:
        assert kinds == {"audio", "video"}
        assert seconds == pytest.approx(10.0, abs=0.1)
        assert mask["video_strength"] == 0.5
        assert sent["AudioXSoundtrack"][0]["mix_original"] is True
    else:
        assert kinds == {"audio"}
        assert seconds == pytest.approx(4.0, abs=0.1)
    assert front_end.noise == []


SAVE = """async (graph) => {
  await app.loadGraphData(graph, true, true, null, {});
  await new Promise(r => setTimeout(r, 300));
  const prompt = (await app.graphToPrompt()).output;
  // as in a file: Playwright would make null of undefined
  return { saved: JSON.parse(JSON.stringify(app.graph.serialize())), prompt };
}"""


@pytest.mark.parametrize("path", BLUEPRINTS, ids=lambda path: path.stem)
def test_a_blueprint_that_is_saved_again_is_the_same(front_end, path):
    graph = read(path)
    first = front_end.page.evaluate(SAVE, graph)
    second = front_end.page.evaluate(SAVE, first["saved"])
    assert second["prompt"] == first["prompt"]
    (before,), (after,) = (g["definitions"]["subgraphs"] for g in (graph, second["saved"]))
    for part in ("id", "name"):
        assert after[part] == before[part]
    for part in ("inputs", "outputs"):
        assert [(s["id"], s["name"], s["type"]) for s in after[part]] == [
            (s["id"], s["name"], s["type"]) for s in before[part]
        ]
    described = [
        [(n["type"], n.get("widgets_values")) for n in g["nodes"]] for g in (before, after)
    ]
    assert described[0] == described[1]
    assert len(after["links"]) == len(before["links"])
