"""What the front end makes of a workflow whose model files are not there; nothing is downloaded.

The newest front end is tested with COMFYUI_FRONT_END, see `tests/host.py`.
"""

import pytest

from audiox_core.hub.models import FILES, files_of, workflow_models

SHOWN = {  # place of the list of missing models, and a button that leads there
    "panel": ("[data-testid^=missing-model]", "[data-testid=error-overlay-see-errors]"),
    "dialog": (".comfy-missing-models", None),  # of the floor
}


@pytest.fixture(scope="module")
def front_end(host, tmp_path_factory):
    if reason := host.why_no_browser():
        pytest.skip(reason)
    scratch = tmp_path_factory.mktemp("without models")
    with host.Server(scratch) as server, host.browser(server.url) as page:
        page.server = server
        yield page


def workflow(model: str) -> dict:
    """A workflow with the loader of a released model."""
    names = {part: file.name for part, file in files_of(model).items()}
    others = [names.get(p, "auto") for p in ("vae_file", "synchformer_file", "text_encoder_file")]
    outputs = {"model": "MODEL", "conditioners": "AUDIOX_CONDITIONERS", "vae": "VAE"}
    load = {
        "id": 1, "type": "AudioXLoadCheckpoint", "pos": [100, 200], "size": [320, 260],
        "flags": {}, "order": 0, "mode": 0, "inputs": [],
        "outputs": [{"name": n, "type": kind, "links": None} for n, kind in outputs.items()],
        "properties": {"models": workflow_models(model)},
        "widgets_values": [names["file"], "default", "auto", *others],
    }  # fmt: skip
    return {
        "last_node_id": 1, "last_link_id": 0, "nodes": [load], "links": [], "groups": [],
        "config": {}, "extra": {}, "version": 0.4,
    }  # fmt: skip


def offered(front_end, model: str) -> str:
    """The text of the front end's list of missing models."""
    front_end.open(workflow(model))
    page = front_end.page
    for place, button in SHOWN.values():
        try:
            page.wait_for_selector(button or place, timeout=8_000)
        except Exception:  # another front end
            continue
        if button:
            page.click(button)
        page.wait_for_selector(place, timeout=8_000)
        page.wait_for_timeout(500)
        return page.evaluate(
            "place => [...document.querySelectorAll(place)].map(e => e.innerText).join('\\n')",
            place,
        )
    pytest.fail("no list of missing models is shown")


def test_missing_files_are_listed_by_the_front_end_under_our_names(front_end):
    text = offered(front_end, "audiox-turbo")
    for name in (file.name for file in files_of("audiox-turbo").values()):
        assert name in text


def test_files_that_are_there_are_not_missed(front_end):
    models = front_end.server.scratch / "models"
    for file in FILES.values():
        path = models / file.directory / file.name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    front_end.page.reload()
    front_end.page.wait_for_function("window.app && app.graph && app.extensionManager")
    front_end.page.wait_for_timeout(3_000)
    report = front_end.open(workflow("audiox-turbo"))
    front_end.page.wait_for_timeout(2_000)
    assert report["stale"] == []
    for place, button in SHOWN.values():
        assert front_end.page.query_selector(button or place) is None
