"""Every shared workflow: opened in a real ComfyUI front end, queued, its files looked into."""

import copy
import json
import time
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import torch

from audiox_core.hub.models import FILES
from audiox_core.media.audio import write_audio
from audiox_core.media.examples import example_file
from audiox_core.variants import VARIANTS

WORKFLOWS = sorted((Path(__file__).parents[1] / "workflows").glob("*.json"))
BY_NAME = {path.stem.removeprefix("AudioX "): path for path in WORKFLOWS}
SECONDS = {  # else ten
    "Music Continuation": 24.0, "Prompt Timeline": 12.0, "Seamless Loop": 8.0,
    "Wan Video with Sound": 0.56,
}  # fmt: skip
TURBO = "audiox_turbo.ckpt"  # one of the released files, which are empty here
# run with every model, and longer
GRAPHS = (
    "Sound from Text", "Soundtrack for a Video", "Soundtrack for Images", "Sound for a Picture",
    "Music Continuation", "Repair a Sound", "with KSampler",
)  # fmt: skip
LONG = 25.0  # seconds: three windows


@pytest.fixture(scope="module")
def front_end(host, clips, toys, tiny_wan, tmp_path_factory):
    if reason := host.why_no_browser():
        pytest.skip(reason)
    scratch = tmp_path_factory.mktemp("comfyui")
    fill_inputs(scratch / "input", clips)
    tiny_wan.install(scratch)
    models = ("--extra-model-paths-config", str(fill_models(scratch, toys)))
    with host.Server(scratch, *models) as server, host.browser(server.url) as page:
        page.server = server
        yield page


def fill_inputs(folder: Path, clips: Path) -> None:
    """Clips of the user's own."""
    folder.mkdir(parents=True)
    (folder / "clip.mp4").write_bytes((clips / "bikes.mp4").read_bytes())
    write_long_video(folder / "long.mp4")
    (folder / "broken.mp4").write_bytes((clips / "bikes.mp4").read_bytes()[:5_000])
    with av.open(str(clips / "bikes.mp4")) as source:
        next(source.decode(video=0)).to_image().save(folder / "picture.png")
    time = torch.arange(12 * 44_100) / 44_100
    write_audio(folder / "music.flac", 0.3 * torch.sin(2 * np.pi * 440 * time)[None], 44_100)


def write_long_video(path: Path) -> None:
    """A small picture that changes, for three windows."""
    draw = np.random.RandomState(0)
    with av.open(str(path), "w") as target:
        stream = target.add_stream("mpeg4", rate=5)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for i in range(round(5 * LONG)):
            frame = av.VideoFrame.from_ndarray(draw.randint(0, 255, (48, 64, 3), np.uint8), "rgb24")
            frame.pts, frame.time_base = i, Fraction(1, 5)
            target.mux(stream.encode(frame))
        target.mux(stream.encode(None))


def fill_models(scratch: Path, toys) -> Path:
    """Tiny models of the family in a folder of the user's own; the file that names it."""
    folder = scratch / "my disk" / "of models"
    folder.mkdir(parents=True)
    for variant in VARIANTS:
        toys.write(toys.tiny(variant), folder / tiny(variant))
    for file in FILES.values():
        (scratch / "models" / file.directory).mkdir(parents=True, exist_ok=True)
        (scratch / "models" / file.directory / file.name).touch()
    named = {"mine": {"base_path": str(folder.parent), "audiox": folder.name}}
    (scratch / "extra.yaml").write_text(json.dumps(named))  # which is YAML, too
    return scratch / "extra.yaml"


def tiny(variant: str) -> str:
    return f"tiny-{variant}.safetensors"


def test_the_pack_starts_without_a_complaint(front_end):
    log = front_end.server.log.read_text()
    assert "IMPORT FAILED" not in log.replace("torchaudio", "")
    assert "Error while calling comfy_entrypoint" not in log
    assert sum("audiox" in line.lower() for line in log.splitlines()) <= 2  # time, and one line


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_opens_runs_and_leaves_its_file(front_end, tiny_wan, path):
    workflow = json.loads(path.read_text())
    report = front_end.open(workflow)
    assert not report["missing"]
    assert not report["red"]
    assert not report["stale"]
    assert not front_end.noise
    assert (report["nodes"], report["links"]) == (len(workflow["nodes"]), len(workflow["links"]))
    prompt = tiny_wan.replaced(shortened(report["prompt"]), front_end.server.scratch)
    loader = node_of(prompt, "AudioXLoadCheckpoint")
    if loader["file"] == TURBO:
        for part in [name for name in loader if name not in ("weight_dtype", "variant")]:
            del loader[part]
        loader["file"] = tiny("audiox-turbo")
    (file,) = made_by(front_end, prompt)
    name = path.stem.removeprefix("AudioX ")
    look_into(file, SECONDS.get(name, 10.0), 9 if "Wan" in name else 240)


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_no_wire_of_a_workflow_runs_behind_a_node(front_end, path):
    front_end.open(json.loads(path.read_text()))
    front_end.page.wait_for_timeout(300)
    assert front_end.page.evaluate(HIDDEN_WIRES) == []


HIDDEN_WIRES = """() => {
  app.canvas.setDirty(true, true);
  app.canvas.draw(true, true);
  const pen = document.createElement("canvas").getContext("2d"), hidden = [];
  pen.lineWidth = 8;
  const nodes = app.graph._nodes ?? app.graph.nodes;
  const parts = [...app.graph.links.values(), ...app.graph.reroutes.values()];
  if (!parts.some(part => part.path)) return ["nothing was drawn"];
  for (const node of nodes)
    for (const part of parts) {
      if (!part.path) continue;
      const [x, y] = node.pos, [w, h] = node.size;
      for (let i = x + 16; i < x + w - 16; i += 6)
        for (let k = y - 20; k < y + h - 4; k += 6)
          if (pen.isPointInStroke(part.path, i, k)) {
            hidden.push(`${node.type} hides ${part.id}`);
            i = k = 1e9;
          }
    }
  return hidden;
}"""


def test_a_wire_that_runs_behind_a_node_is_found(front_end):
    workflow = json.loads(BY_NAME["Sound from Text"].read_text())
    encode = next(n for n in workflow["nodes"] if n["type"] == "AudioXEncodeText")
    decode = next(n for n in workflow["nodes"] if n["type"] == "AudioXDecode")
    encode["pos"] = [decode["pos"][0] - 200, decode["pos"][1] - 30]
    front_end.open(workflow)
    front_end.page.wait_for_timeout(300)
    assert any("AudioXEncodeText" in line for line in front_end.page.evaluate(HIDDEN_WIRES))


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_no_node_of_a_workflow_is_deprecated_or_muted(front_end, path):
    nodes = json.loads(path.read_text())["nodes"]
    known = front_end.server.get("/object_info")
    assert [n["type"] for n in nodes if known.get(n["type"], {}).get("deprecated")] == []
    assert {node["mode"] for node in nodes} == {0}


def shortened(prompt: dict, steps: int = 4) -> dict:
    """Fewer steps: the length of the run is not what is tested."""
    for node in prompt.values():
        if node["class_type"] in ("AudioXSampler", "KSampler", "AudioXScheduler"):
            node["inputs"]["steps"] = steps
    return prompt


def made_by(front_end, prompt: dict) -> list[Path]:
    """The files that a run leaves."""
    entry = front_end.server.queue(prompt)
    assert entry["status"]["status_str"] == "success", entry
    files = [f for out in entry["outputs"].values() for kind in out.values() for f in kind
             if isinstance(f, dict) and f.get("type") == "output"]  # fmt: skip
    folder = front_end.server.scratch / "output"
    return [folder / file["subfolder"] / file["filename"] for file in files]


@pytest.fixture(scope="module")
def prompts(front_end) -> dict[str, dict]:
    """Workflows as the front end sends them, with clips of the user's own of 25 seconds."""
    sent = {name: prompt_of(front_end, name, steps=2) for name in GRAPHS}
    for name, prompt in sent.items():
        with_own_clip(prompt)
        for node in prompt.values():
            inputs = node["inputs"]
            if isinstance(inputs.get("seconds"), (int, float)):
                inputs["seconds"] = LONG
            if "duration" in inputs:
                inputs["duration"] = LONG
            if name == "Repair a Sound" and "regenerate" in inputs:
                inputs["extend_after"] = LONG - 12.0
    return sent


def with_own_clip(prompt: dict) -> None:
    """Load Video, Load Image or Load Audio in place of AudioX Example, as the notes say."""
    own = {
        0: ("LoadVideo", {"file": "long.mp4"}),
        1: ("LoadImage", {"image": "picture.png"}),
        2: ("LoadAudio", {"audio": "music.flac"}),
    }
    examples = {k for k, node in prompt.items() if node["class_type"] == "AudioXExample"}
    for node in list(prompt.values()):
        for key, value in node["inputs"].items():
            if isinstance(value, list) and value[0] in examples:
                kind, inputs = own[value[1]]
                prompt[kind] = {"class_type": kind, "inputs": inputs, "_meta": {"title": kind}}
                node["inputs"][key] = [kind, 0]
    for number in examples:
        del prompt[number]


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("name", GRAPHS)
def test_the_same_graph_runs_with_every_model_and_a_clip_of_ones_own(
    front_end, prompts, name, variant
):
    prompt = copy.deepcopy(prompts[name])
    node_of(prompt, "AudioXLoadCheckpoint")["file"] = tiny(variant)
    begun = {"Music Continuation": 12.0}.get(name, 0.0)
    look_into(*made_by(front_end, prompt), begun + LONG, round(5 * LONG))


def look_into(path: Path, seconds: float, frames: int) -> None:
    """The file holds stereo sound at 44.1 kHz of this length, and a picture where it is a video."""
    with av.open(str(path)) as container:
        sound = container.streams.audio[0]
        assert (sound.rate, sound.channels) == (44_100, 2)
        samples = [frame.to_ndarray() for frame in container.decode(sound)]
        heard = sum(block.shape[-1] for block in samples)
        heard //= 1 if sound.codec_context.format.is_planar else 2
        assert heard / 44_100 == pytest.approx(seconds, abs=0.06)
        assert max(np.abs(block.astype(np.float64)).max() for block in samples) > 0
    if path.suffix == ".mp4":
        with av.open(str(path)) as container:
            assert sum(1 for _ in container.decode(video=0)) == frames


def test_the_picture_of_a_video_is_copied(front_end):
    (made,) = made_by(front_end, prompt_of(front_end, "Soundtrack for a Video"))
    assert packets(made) == packets(example_file("ball"))


def packets(path: Path) -> list[bytes]:
    with av.open(str(path)) as container:
        return [bytes(p) for p in container.demux(video=0) if p.size]


def test_an_invalid_workflow_fails_the_check(front_end):
    workflow = json.loads(WORKFLOWS[0].read_text())
    workflow["nodes"][0]["type"] = "AudioXOfYesterday"
    assert front_end.open(workflow)["missing"] == ["AudioXOfYesterday"]


def prompt_of(front_end, name: str, steps: int = 3) -> dict:
    """A workflow as the front end sends it, with a short run."""
    prompt = front_end.open(json.loads(BY_NAME[name].read_text()))["prompt"]
    return shortened(prompt, steps)


def node_of(prompt: dict, kind: str) -> dict:
    return next(node["inputs"] for node in prompt.values() if node["class_type"] == kind)


def ran(prompt: dict, entry: dict) -> set[str]:
    """The kinds of nodes that were not taken from the cache."""
    assert entry["status"]["status_str"] == "success", entry
    cached = dict(entry["status"]["messages"])["execution_cached"]["nodes"]
    return {node["class_type"] for number, node in prompt.items() if number not in cached}


def test_another_seed_reuses_the_encoded_inputs_and_loaded_models(front_end):
    prompt = prompt_of(front_end, "Soundtrack for a Video")
    front_end.server.queue(prompt)
    node_of(prompt, "AudioXSampler")["seed"] = 123
    again = ran(prompt, front_end.server.queue(prompt))
    assert again == {"AudioXSampler", "AudioXDecode", "AudioXSoundtrack", "SaveVideo"}
    node_of(prompt, "AudioXEncodeText")["text"] = "bells"
    again = ran(prompt, front_end.server.queue(prompt))
    assert not {"AudioXLoadCheckpoint", "AudioXEncodeVideo", "AudioXExample"} & again
    assert "AudioXEncodeText" in again


def test_a_stopped_run_does_not_affect_the_next_one(front_end):
    prompt = prompt_of(front_end, "Sound from Text", steps=5_000)
    number = front_end.server.post("/prompt", {"prompt": prompt})["prompt_id"]
    time.sleep(4)
    began = time.monotonic()
    front_end.server.post("/interrupt", {})
    entry = front_end.server.finished(number)
    assert time.monotonic() - began < 10  # the run takes longer by far
    assert "execution_interrupted" in dict(entry["status"]["messages"])
    node_of(prompt, "AudioXSampler")["steps"] = 2
    assert "AudioXSampler" in ran(prompt, front_end.server.queue(prompt))


def test_an_error_is_shown_on_its_node_and_the_queue_continues(front_end):
    prompt = prompt_of(front_end, "Soundtrack for Images")
    node_of(prompt, "AudioXEncodeVideo")["fps"] = 0.0
    entry = front_end.server.queue(prompt)
    error = dict(entry["status"]["messages"])["execution_error"]
    assert error["node_type"] == "AudioXEncodeVideo"
    assert "set fps" in error["exception_message"]
    prompt = prompt_of(front_end, "Sound from Text")
    assert front_end.server.queue(prompt)["status"]["status_str"] == "success"


MISTAKES = {  # node, what is wrong with it, where and how it is said
    "seconds": (
        "AudioXEmptyLatent",
        {"seconds": 45.0},
        "AudioXSampler",
        "connect seconds of AudioX Encode Video",
    ),
    "video": ("LoadVideo", {"file": "broken.mp4"}, "AudioXEncodeVideo", "broken.mp4"),
    "start": ("AudioXEncodeVideo", {"start": 99.0}, "AudioXEncodeVideo", "earlier start"),
    "mask": ("AudioXEncodeVideo", {"time_mask": "two"}, "AudioXEncodeVideo", "not a time range"),
    "model": ("AudioXLoadCheckpoint", {"file": TURBO}, "AudioXLoadCheckpoint", "fetch"),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_a_mistake_names_its_node_and_what_to_do(front_end, prompts, case):
    kind, wrong, where, message = MISTAKES[case]
    prompt = copy.deepcopy(prompts["Soundtrack for a Video"])
    node_of(prompt, kind).update(wrong)
    error = dict(front_end.server.queue(prompt)["status"]["messages"])["execution_error"]
    assert error["node_type"] == where
    assert message in error["exception_message"]
    assert "\n" not in error["exception_message"].strip()


def test_a_file_that_is_not_there_is_named(front_end, prompts):
    prompt = copy.deepcopy(prompts["Sound from Text"])
    node_of(prompt, "AudioXLoadCheckpoint")["file"] = "gone.safetensors"
    entry = front_end.server.queue(prompt)
    if entry["status"]["status_str"] == "refused":  # newer ComfyUI looks before it runs
        assert "gone.safetensors" in json.dumps(entry["answer"]["node_errors"])
        return
    error = dict(entry["status"]["messages"])["execution_error"]
    assert error["node_type"] == "AudioXLoadCheckpoint"
    assert "gone.safetensors is not in" in error["exception_message"]


def test_every_saving_node_takes_our_sound(front_end, prompts):
    prompt = copy.deepcopy(prompts["Sound from Text"])
    number = next(n for n, node in prompt.items() if node["class_type"] == "AudioXDecode")
    for kind in ("SaveAudioMP3", "SaveAudioOpus", "PreviewAudio"):
        settings = {"SaveAudioMP3": {"quality": "128k"}, "SaveAudioOpus": {"quality": "64k"}}
        inputs = {"audio": [number, 0], **settings.get(kind, {"filename_prefix": "x"})}
        inputs.setdefault("filename_prefix", "audio/AudioX")
        prompt[kind] = {"class_type": kind, "inputs": inputs, "_meta": {"title": kind}}
    made = made_by(front_end, prompt)
    assert sorted(path.suffix for path in made) == [".flac", ".mp3", ".opus"]


@pytest.mark.parametrize(
    ("model", "settings", "advice"),
    [
        (tiny("audiox-turbo"), {"cfg": 7.0, "steps": 4}, "distilled for cfg 1, not 7"),
        ("embedded", {"cfg": 7.0, "steps": 4}, "4 steps are few"),
        (tiny("audiox-turbo"), {}, "lcm, the model's schedule (sigma 1 to 0), 4 steps, cfg 1"),
    ],
)
def test_the_node_shows_advice_about_unusual_settings(front_end, model, settings, advice):
    workflow = json.loads(BY_NAME["Sound from Text"].read_text())
    values = {
        "AudioXLoadCheckpoint": {"file": model},
        "AudioXSampler": settings,
        "AudioXEmptyLatent": {"seconds": 2.0},
    }
    said = front_end.run(workflow, values)
    assert advice in said["AudioXSampler"]


PLAYERS = """async () => {
  const graphs = [app.graph, ...(app.graph.subgraphs?.values() ?? [])];
  const nodes = graphs.flatMap(graph => graph._nodes ?? graph.nodes);
  const node = nodes.find(n => n.type === "AudioXTakes");
  const list = node.widgets.find(w => w.name === "audiox_players")?.element;
  const players = [...(list?.querySelectorAll("audio") ?? [])];
  const wait = () => new Promise(r => setTimeout(r, 100));
  for (const player of players)
    for (let k = 0; k < 50 && !(player.duration > 0); k++) await wait();
  const buttons = [...(list?.querySelectorAll(".audiox-choose") ?? [])];
  return {
    seconds: players.map(player => player.duration),
    numbers: buttons.map(button => button.textContent),
    chosen: buttons.findIndex(button => button.style.fontWeight === "bold") + 1,
    widget: node.widgets.find(w => w.name === "choose").value,
    saved: node.serialize().widgets_values,
    text: node.widgets.find(w => w.name === "audiox_text_preview")?.value ?? "",
  };
}"""
CHOOSE_THE_THIRD = """async () => {
  const node = (app.graph._nodes ?? app.graph.nodes).find(n => n.type === "AudioXTakes");
  const list = node.widgets.find(w => w.name === "audiox_players").element;
  list.querySelectorAll(".audiox-choose")[2].click();
  await app.queuePrompt(0, 1);
}"""
SHOW_AGAIN = """async (workflow) => {
  const outputs = JSON.parse(JSON.stringify(app.nodeOutputs));
  await app.loadGraphData(workflow, true, true, null, {});
  app.nodeOutputs = outputs;  // as the front end does it for another tab
  await new Promise(r => setTimeout(r, 300));
}"""
RUN_AS_SUBGRAPH = """async () => {
  const node = (app.graph._nodes ?? app.graph.nodes).find(n => n.type === "AudioXTakes");
  app.graph.convertToSubgraph(new Set([node]));
  await app.queuePrompt(0, 1);
}"""


def test_takes_have_players_and_a_press_chooses_one_without_sampling(front_end):
    workflow = json.loads(BY_NAME["Takes for a Video"].read_text())
    front_end.run(workflow, {"AudioXSampler": {"steps": 2}})
    shown = front_end.page.evaluate(PLAYERS)
    assert shown["numbers"] == ["1", "2", "3", "4"]
    assert shown["seconds"] == pytest.approx([10.0] * 4, abs=0.1)
    assert (shown["chosen"], shown["widget"]) == (1, 1)
    assert shown["saved"] == [1, 0]  # choose and start
    front_end.press("app.queuePrompt(0, 1)")  # Save Video has its preview now, which is a widget
    entry = front_end.press(CHOOSE_THE_THIRD)
    prompt = entry["prompt"][2]
    assert node_of(prompt, "AudioXTakes")["choose"] == 3
    assert ran(prompt, entry) <= {"AudioXTakes", "AudioXSoundtrack", "SaveVideo"}
    shown = front_end.page.evaluate(PLAYERS)
    assert (shown["chosen"], shown["widget"]) == (3, 3)
    assert "take 3 is used" in shown["text"]
    front_end.page.evaluate(SHOW_AGAIN, workflow)
    shown = front_end.page.evaluate(PLAYERS)
    assert shown["seconds"] == pytest.approx([10.0] * 4, abs=0.1)
    assert "take 3 is used" in shown["text"]


def test_takes_in_a_subgraph_have_players(front_end):
    workflow = json.loads(BY_NAME["Takes for a Video"].read_text())
    front_end.open(workflow)
    if not front_end.page.evaluate("'convertToSubgraph' in app.graph"):
        pytest.skip("this front end has no subgraphs")
    front_end.press(RUN_AS_SUBGRAPH)
    assert front_end.page.evaluate(PLAYERS)["seconds"] == pytest.approx([10.0] * 4, abs=0.1)


def test_unloading_models_does_not_affect_the_next_run(front_end):
    for _ in range(3):  # the worker looks for it between two runs, and may miss one call
        front_end.server.post("/free", {"unload_models": True, "free_memory": True})
        time.sleep(1)
    prompt = prompt_of(front_end, "Sound from Text", steps=2)
    assert "AudioXLoadCheckpoint" in ran(prompt, front_end.server.queue(prompt))


def test_the_templates_are_served(front_end):
    listed = front_end.server.get("/api/workflow_templates")
    ours = next(names for names in listed.values() if "AudioX Sound from Text" in names)
    assert set(ours) == {path.stem for path in WORKFLOWS}
