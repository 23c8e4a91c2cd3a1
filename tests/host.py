"""A real ComfyUI for the tests: where it is, a server of it, a browser in front of it.

`COMFYUI_FRONT_END` is the folder of another front end, such as `comfyui_frontend_package/static` of
the newest release.
"""

import importlib.util
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACK_FOLDER = (
    "AudioX-pack.under-test"  # no identifier; with a space ComfyUI serves no scripts of it
)
# noise of the front ends themselves, on a first start without user files
KNOWN_NOISE = (
    "Failed to load resource",
    "reading 'id'",
    "status of 404",
    "net::ERR_FAILED",
    "graph accessed before initialization",
)
CHROMIUM = ("chromium", "chromium-browser", "google-chrome")


def find_comfyui() -> Path | None:
    """COMFYUI_PATH, the install that this folder lies in, or where comfy-cli puts it."""
    if named := os.environ.get("COMFYUI_PATH"):
        if not _is_comfyui(Path(named)):
            raise FileNotFoundError(f"COMFYUI_PATH is {named}: there is no ComfyUI in it.")
        return Path(named)
    places = (ROOT.parent.parent, Path.home() / "comfy" / "ComfyUI")
    return next((place for place in places if _is_comfyui(place)), None)


def _is_comfyui(folder: Path) -> bool:
    return (folder / "main.py").is_file() and (folder / "comfy").is_dir()


def why_not() -> str:
    """Why no ComfyUI can be run here; empty where one can."""
    folder = find_comfyui()
    if folder is None:
        return "no ComfyUI found: set COMFYUI_PATH to its checkout"
    listed = (folder / "requirements.txt").read_text(encoding="utf-8")
    needed = {"aiohttp": "aiohttp", "torchsde": "torchsde", "comfyui-frontend-package": None}
    for package, module in needed.items():
        name = module or package.replace("-", "_")
        if package in listed and importlib.util.find_spec(name) is None:
            return (
                f"the ComfyUI in {folder.name} needs {package}, which this Python lacks: "
                "pip install its requirements.txt"
            )
    return ""


def why_no_browser() -> str:
    """Why no front end can be opened here; empty where one can."""
    if reason := why_not():
        return reason
    if chromium() is None:
        return "no Chromium found: apt-get install chromium"
    if importlib.util.find_spec("playwright") is None:
        return "no playwright: pip install playwright"
    return ""


class Server:
    """ComfyUI in a process of its own, with a scratch folder and this pack in it.

    In a `with` statement it answers when the block begins, and ends with it.
    """

    def __init__(
        self, scratch: Path, *arguments: str, folder: str = PACK_FOLDER, **environment: str
    ) -> None:
        self.scratch = scratch
        for name in ("custom_nodes", "models", "input", "output", "temp", "user"):
            (scratch / name).mkdir(parents=True, exist_ok=True)
        link = scratch / "custom_nodes" / folder
        if not link.exists():
            link.symlink_to(ROOT, target_is_directory=True)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        self.log = scratch / "server.log"
        command = [
            sys.executable, "main.py", "--cpu", "--port", str(port), "--disable-api-nodes",
            "--base-directory", str(scratch), "--database-url", "sqlite:///:memory:",
            "--disable-auto-launch", *arguments,
        ]  # fmt: skip
        if front_end := os.environ.get("COMFYUI_FRONT_END"):  # another release of it
            command += ["--front-end-root", front_end]
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                command, cwd=find_comfyui(), stdout=log, stderr=subprocess.STDOUT,
                env={**os.environ, **environment},
            )  # fmt: skip

    def wait(self, seconds: float = 120) -> "Server":
        """Until it answers. Raises RuntimeError with the end of its log where it does not."""
        end = time.monotonic() + seconds
        while time.monotonic() < end and self.process.poll() is None:
            try:
                self.get("/system_stats")
            except OSError:
                time.sleep(0.3)
            else:
                return self
        raise RuntimeError(f"ComfyUI did not start:\n{self.log.read_text()[-3000:]}")

    def get(self, path: str) -> dict:
        """JSON of an address."""
        with urllib.request.urlopen(self.url + path, timeout=60) as answer:
            return json.load(answer)

    def queue(self, prompt: dict) -> dict:
        """Run an API prompt to its end; its entry in the history."""
        try:
            number = self.post("/prompt", {"prompt": prompt})["prompt_id"]
        except urllib.error.HTTPError as error:
            return {"status": {"status_str": "refused"}, "answer": json.load(error)}
        return self.finished(number)

    def post(self, path: str, data: dict) -> dict:
        """Send JSON to an address; its answer, if it has one."""
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(self.url + path, json.dumps(data).encode(), headers)
        with urllib.request.urlopen(request, timeout=60) as answer:
            text = answer.read()
        return json.loads(text) if text else {}

    def finished(self, number: str, seconds: float = 300) -> dict:
        """The entry of a queued prompt in the history, once it is there."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if entry := self.get(f"/history/{number}").get(number):
                return entry
            time.sleep(0.2)
        raise TimeoutError(f"{number} did not finish:\n{self.log.read_text()[-3000:]}")

    def stop(self) -> None:
        """End the process."""
        self.process.terminate()
        self.process.wait(timeout=30)

    def __enter__(self) -> "Server":
        try:
            return self.wait()
        except BaseException:
            self.stop()
            raise

    def __exit__(self, *_: object) -> None:
        self.stop()


def chromium() -> str | None:
    """A browser of this machine."""
    return next(filter(None, map(shutil.which, CHROMIUM)), None)


class Browser:
    """The front end in headless Chromium."""

    def __init__(self, page: object, url: str) -> None:
        self.page, self.url, self.noise = page, url, []
        page.on("console", self._console)
        page.on("pageerror", lambda error: self._hear(str(error)))
        page.route("**/*", self._local)
        self.load()

    def load(self) -> None:
        """Load the front end, with the settings that the server has now."""
        page = self.page
        page.goto(self.url)
        page.wait_for_function(
            "count => window.app && (app.vueAppReady ?? true) && app.extensionManager && "
            "app.graph && Object.keys(LiteGraph.registered_node_types).length >= count",
            arg=len(self._get("object_info")),
            timeout=90_000,
        )
        page.wait_for_timeout(1_500)
        page.keyboard.press("Escape")

    def _console(self, message: object) -> None:
        if message.type == "error":
            self._hear(message.text)

    def _hear(self, text: str) -> None:
        if not any(known in text for known in KNOWN_NOISE):
            self.noise.append(text)

    def _local(self, route: object) -> None:
        local = route.request.url.startswith((self.url, "data:", "blob:"))
        route.continue_() if local else route.abort()

    def open(self, workflow: dict) -> dict:
        """Open a workflow; what is wrong with it, and what the front end makes of it."""
        self.noise.clear()
        return self.page.evaluate(OPEN, workflow)

    def run(self, workflow: dict, values: dict[str, dict], seconds: float = 120) -> dict[str, str]:
        """Open a workflow, set widgets by the type of their node, press Run.

        Returns:
            What the nodes say of themselves when it is done, by their type.
        """
        self.press(RUN, [workflow, values], seconds)
        return self.page.evaluate(SAID)

    def press(self, script: str, argument: object = None, seconds: float = 120) -> dict:
        """Run a script that queues the graph; its entry in the history when it is done."""
        before = set(self._get("history"))
        self.page.evaluate(script, argument)
        end = time.monotonic() + seconds
        while not (done := {k: v for k, v in self._get("history").items() if k not in before}):
            if time.monotonic() > end:
                raise TimeoutError("the front end did not run the workflow")
            self.page.wait_for_timeout(200)
        self.page.wait_for_timeout(300)
        return next(iter(done.values()))

    def _get(self, path: str) -> dict:
        with urllib.request.urlopen(f"{self.url}/{path}", timeout=60) as answer:
            return json.load(answer)

    def screenshot(self, path: Path) -> None:
        """A picture of the graph that fills the window."""
        self.page.evaluate(FIT)
        self.page.wait_for_timeout(800)
        width, height = (self.page.viewport_size[side] for side in ("width", "height"))
        shown = {"x": 60, "y": 95, "width": width - 60, "height": height - 125}  # without menus
        self.page.add_style_tag(
            content="[class*=minimap], .p-toast, .p-buttongroup {display: none !important}"
        )
        self.page.screenshot(path=str(path), type="jpeg", quality=80, clip=shown)


OPEN = """async (workflow) => {
  await app.loadGraphData(workflow, true, true, null, {});
  await new Promise(r => setTimeout(r, 300));
  const virtual = new Set(["Note", "MarkdownNote", "Reroute", "PrimitiveNode"]);
  const nodes = app.graph._nodes ?? app.graph.nodes;
  const missing = [], red = [], stale = [];
  for (const node of nodes) {
    if (!virtual.has(node.type) && !LiteGraph.registered_node_types[node.type])
      missing.push(node.type);
    if (node.has_errors) red.push(node.type);
    for (const widget of node.widgets ?? []) {
      const values = widget.options?.values;
      if (Array.isArray(values) && !values.includes(widget.value))
        stale.push(`${node.type}.${widget.name}: ${widget.value}`);
    }
  }
  const links = app.graph.links.size ?? Object.keys(app.graph.links).length;
  let prompt = null, why = null;
  try { prompt = (await app.graphToPrompt()).output; } catch (error) { why = String(error); }
  return {missing, red, stale, prompt, why, nodes: nodes.length, links};
}"""

RUN = """async ([workflow, values]) => {
  await app.loadGraphData(workflow, true, true, null, {});
  for (const node of app.graph._nodes ?? app.graph.nodes)
    for (const [name, value] of Object.entries(values[node.type] ?? {}))
      node.widgets.find(w => w.name === name).value = value;
  await app.queuePrompt(0, 1);
}"""

# the line of text below a node's widgets, as it is on the screen
SAID = """() => Object.fromEntries((app.graph._nodes ?? app.graph.nodes).map(node => [
  node.type,
  (node.widgets ?? []).filter(w => w.name.includes("preview")).map(w => w.value).join(" "),
]))"""

FIT = """() => {
  const canvas = app.canvas, nodes = app.graph._nodes ?? app.graph.nodes;
  const left = Math.min(...nodes.map(n => n.pos[0])) - 30;
  const top = Math.min(...nodes.map(n => n.pos[1])) - 110;
  const right = Math.max(...nodes.map(n => n.pos[0] + n.size[0])) + 30;
  const bottom = Math.max(...nodes.map(n => n.pos[1] + n.size[1])) + 30;
  const w = window.innerWidth - 90, h = window.innerHeight - 210;
  const scale = Math.min(w / (right - left), h / (bottom - top), 1.2);
  canvas.ds.scale = scale;
  canvas.ds.offset[0] = (70 + (w - (right - left) * scale) / 2) / scale - left;
  canvas.ds.offset[1] = (105 + (h - (bottom - top) * scale) / 2) / scale - top;
  canvas.show_info = false;
  canvas.min_font_size_for_lod = canvas.low_quality_zoom_threshold = 0;  // text at any scale
  canvas.setDirty(true, true);
}"""


@contextmanager
def browser(url: str, size: tuple[int, int] = (1600, 900)):
    """A `Browser` in front of a server."""
    from playwright.sync_api import sync_playwright

    flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    with sync_playwright() as playwright:
        chrome = playwright.chromium.launch(
            executable_path=chromium(), args=[*flags, "--disable-dev-shm-usage"]
        )
        page = chrome.new_page(viewport={"width": size[0], "height": size[1]})
        yield Browser(page, url)
        chrome.close()
