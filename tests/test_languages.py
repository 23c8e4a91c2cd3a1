"""The nodes in a front end: found by what people type, and in Chinese without a word of English."""

import json
import re

import pytest

# model and file names, units, and terms that ComfyUI's Chinese front end keeps
KEPT = """
    AAC AudioX AudioX-MAF-MMDiT AudioX-Turbo BT.1359 Base CC-BY-NC-4.0 CFG CLIP Checkpoint
    ComfyUI H.264 ITU-R K LU LUFS Latent LoRA MAF R Sigma Sigmas T5 T5-base Transformer Turbo
    UNet VAE audiox bfloat16 checkpoints config.json dB diffusion_models dpmpp_3m_sde euler
    float16 float8 lcm models/audiox models/text_encoders ms stable_audio token vae float32
    float8_e4m3fn Synchformer audiox-maf audiox-maf-mmdit audiox-base audiox-turbo audiox-nano
"""
OF_THE_FRONT_END = {"randomize", "fixed", "increment", "decrement"}  # after a seed, in every node
PROMPTS = [  # are in English in every language
    "waves on a beach, seagulls",
    "rain on a tin roof",
    "heavy footsteps on gravel, slow",
]
WORD = re.compile(r"[A-Za-z][\w.+/-]*", re.ASCII)

SEARCHES = {  # what people type -> a node that is among the first it finds
    "foley": "AudioX Sampler",
    "music": "AudioX Sampler",
    "sfx": "AudioX Sampler",
    "soundtrack": "AudioX Soundtrack",
    "dub": "AudioX Soundtrack",
    "loudness": "AudioX Mix",
    "video to audio": "AudioX Encode Video",
    "text to audio": "AudioX Encode Text",
    "loop": "AudioX Empty Latent",
    "extend audio": "AudioX Inpaint Latent",
}
CHINESE_SEARCHES = {
    "拟音": "AudioX 采样器",
    "配乐": "AudioX 视频音轨",
    "响度": "AudioX 混音",
    "循环": "AudioX 空Latent",
}
FOUND = """() => [...document.querySelectorAll("[data-testid=result-item], [role=option]")]
  .map(item => item.innerText.split("\\n")[0].trim())"""
SHOWN = """async (type) => {
  const shownValue = widget => widget.type === "toggle"
    ? widget.options[widget.value ? "on" : "off"] : widget._displayValue ?? widget.value;
  const node = LiteGraph.createNode(type);
  app.graph.add(node);
  await new Promise(r => setTimeout(r, 50));
  const slots = [...(node.inputs ?? []), ...(node.outputs ?? [])];
  const widgets = node.widgets ?? [];
  const shown = [
    node.title,
    ...slots.map(slot => slot.label || slot.localized_name || slot.name),
    ...widgets.map(widget => widget.label || widget.name),
    ...widgets.map(shownValue),
    ...widgets.map(widget => (widget.inputEl ?? widget.element)?.placeholder),
  ];
  const wide = node.size[0] > 8 * node.title.length;
  app.graph.remove(node);
  return {shown: shown.filter(text => typeof text === "string"), wide};
}"""
OURS = "() => Object.keys(LiteGraph.registered_node_types).filter(t => t.startsWith('AudioX'))"
LABELS = """() => (app.graph._nodes ?? app.graph.nodes).filter(n => n.type.startsWith("AudioX"))
  .flatMap(n => [n.title, ...[...n.inputs, ...n.outputs].map(s => s.label || s.localized_name),
                 ...(n.widgets ?? []).map(w => w.label || w.name)])"""
TEXTS = """() => (app.graph._nodes ?? app.graph.nodes).filter(n => n.type.startsWith("AudioX"))
  .flatMap(n => (n.widgets ?? []).filter(w => w.name.startsWith("audiox_"))
    .flatMap(w => [w.value, ...[...w.element.querySelectorAll("button")].map(b => b.title)]))
  .filter(Boolean)"""
SELECT = """(type) => {
  app.graph.clear();
  const node = LiteGraph.createNode(type);
  app.graph.add(node);
  node.pos = [300, 300];
  app.canvas.ds.scale = 1;
  app.canvas.ds.offset = [200, 100];
  app.canvas.selectNode(node);
  app.canvas.setDirty(true, true);
}"""
PLACE = """(place) => {
  const node = app.graph._nodes[0], { scale, offset } = app.canvas.ds;
  const widget = node.widgets[1];
  const at = place === "widget"
    ? [node.pos[0] + 60, node.pos[1] + (widget.last_y ?? widget.y) + 10]
    : node.getConnectionPos(false, 0).map((p, k) => p - (k === 0 ? 5 : 0));
  const { left, top } = app.canvas.canvas.getBoundingClientRect();
  return [left + (at[0] + offset[0]) * scale, top + (at[1] + offset[1]) * scale];
}"""


@pytest.fixture(scope="module")
def server(host, tmp_path_factory):
    if reason := host.why_no_browser():
        pytest.skip(reason)
    # the front ends find no help of a pack whose folder has a dot in its name
    with host.Server(tmp_path_factory.mktemp("comfyui"), folder="ComfyUI-AudioX") as running:
        yield running


@pytest.fixture(scope="module")
def front_end(server, host):
    with host.browser(server.url) as browser:
        yield browser


@pytest.fixture(scope="module")
def english(server, front_end):
    """The page in English."""
    speak(server, front_end, "en")
    return front_end.page


@pytest.fixture(scope="module")
def chinese(server, front_end):
    """The front end in Chinese, after all English tests."""
    speak(server, front_end, "zh")
    return front_end


def speak(server, front_end, language: str) -> None:
    """Load the front end in a language."""
    server.post("/settings", {"Comfy.Locale": language, "Comfy.TutorialCompleted": True})
    front_end.load()


def english_words(*texts: str) -> list[str]:
    """Words that are neither Chinese nor kept."""
    found, kept = [], {*KEPT.split(), *OF_THE_FRONT_END}
    for text in texts:
        plain = re.sub("|".join(["`[^`]*`", *PROMPTS]), "", text)
        words = (word.rstrip(".-/") for word in WORD.findall(plain))
        found += [f"{word}: {text}" for word in words if word not in kept]
    return found


def searched(page, text: str) -> list[str]:
    """Names that the search of nodes shows first."""
    page.evaluate("app.graph.clear()")
    for _ in range(5):
        page.mouse.dblclick(900, 600)
        page.wait_for_timeout(600)
        if page.evaluate("document.activeElement.tagName") == "INPUT":
            break
        page.keyboard.press("Escape")
    page.keyboard.type(text)
    found: list[str] = []
    for _ in range(20):
        page.wait_for_timeout(200)
        found = page.evaluate(FOUND)
        if any("AudioX" in name for name in found):
            break
    page.keyboard.press("Escape")
    page.keyboard.press("Escape")
    page.wait_for_timeout(300)
    return found


@pytest.mark.parametrize("text", SEARCHES)
def test_the_search_finds_a_node_by_what_people_type(english, text):
    found = searched(english, text)
    assert any(name.startswith(SEARCHES[text]) for name in found[:8]), found


def test_an_english_node_keeps_its_name_on_the_canvas(english):
    shown = english.evaluate(SHOWN, "AudioXSampler")["shown"]
    assert {"AudioX Sampler", "model", "latent_image", "cfg_rescale", "model default"} <= {*shown}


@pytest.mark.parametrize("text", CHINESE_SEARCHES)
def test_the_chinese_search_finds_a_node_by_chinese_words(chinese, text):
    found = searched(chinese.page, text)
    assert any(name.startswith(CHINESE_SEARCHES[text]) for name in found[:8]), found


def test_a_chinese_node_shows_no_english(chinese):
    for kind in chinese.page.evaluate(OURS):
        node = chinese.page.evaluate(SHOWN, kind)
        if kind == "AudioXPromptTimeline":  # an example of prompts
            node["shown"] = [text for text in node["shown"] if not text.startswith("0-4: ")]
        assert len(node["shown"]) > 2, kind
        assert not english_words(*node["shown"]), kind
        assert node["wide"], f"the title of {kind} is cut"


def workflow_with(host, kind: str) -> dict | None:
    """A shared workflow that needs no other file; None where there is none with this node."""
    texts = [path.read_text(encoding="utf-8") for path in (host.ROOT / "workflows").glob("*.json")]
    found = [
        text for text in texts
        if f'"type": "{kind}"' in text and '"embedded"' in text
        and not re.search('"type": "(Load|UNETLoader|CLIPLoader)', text)
    ]  # fmt: skip
    return json.loads(min(found, key=len)) if found else None


def test_a_template_opens_in_chinese(chinese, host):
    chinese.open(workflow_with(host, "AudioXSampler"))
    labels = chinese.page.evaluate(LABELS)
    assert "AudioX 采样器" in labels
    assert not english_words(*labels)


@pytest.mark.parametrize("kind", ["Sampler", "PromptTimeline", "Takes", "Mix", "Guider"])
def test_what_nodes_say_after_a_run_is_chinese(chinese, host, kind):
    if (workflow := workflow_with(host, f"AudioX{kind}")) is None:
        pytest.skip("no workflow with this node runs by itself")
    chinese.run(workflow, {kind: {"steps": 2} for kind in ("AudioXSampler", "AudioXScheduler")})
    chinese.page.wait_for_timeout(1_000)
    texts = "\n".join(chinese.page.evaluate(TEXTS))
    assert texts
    for prompt in re.findall(r"\d: ([a-z ]+)", json.dumps(workflow)):
        texts = texts.replace(prompt, "")
    texts = re.sub("(?<=从未出现\\W)[^。]+|(?<=已保存为 ).+", "", texts)  # of a prompt, a file
    texts = re.sub(r"(?m)^(轨道 )?\d [a-z]+(?=\W)", "", texts)  # names of layers
    assert not english_words(texts)


def test_the_help_panel_is_chinese_and_shows_a_picture(chinese):
    page = chinese.page
    page.evaluate(SELECT, "AudioXMix")
    page.wait_for_timeout(600)
    page.locator("[data-testid=info-button]").first.click()
    panel = page.locator(".markdown-content, .comfy-markdown-content").first
    panel.wait_for(timeout=10_000)
    page.wait_for_timeout(800)
    assert "混音" in panel.inner_text()
    assert panel.locator("img").first.evaluate("image => image.naturalWidth") > 100


@pytest.mark.parametrize("place", ["widget", "output"])
def test_a_tooltip_is_chinese(chinese, place):
    page = chinese.page
    page.evaluate(SELECT, "AudioXDecode")
    page.mouse.move(10, 500)
    page.wait_for_timeout(500)
    page.mouse.move(*page.evaluate(PLACE, place), steps=4)
    tooltip = page.locator(".node-tooltip")
    tooltip.wait_for(timeout=5_000)
    assert not english_words(tooltip.inner_text())
