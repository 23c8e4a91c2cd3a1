"""The Wan workflow with tiny random weights: see `wan_host`, a node pack that brings them."""

from pathlib import Path

PACK = Path(__file__).parent / "wan_host"


def install(scratch: Path) -> None:
    """Put the pack into a ComfyUI, and empty files where the workflow names large ones."""
    (scratch / "custom_nodes").mkdir(parents=True, exist_ok=True)
    (scratch / "custom_nodes" / "wan_host").symlink_to(PACK, target_is_directory=True)
    for name in (
        "text_encoders/umt5_xxl_fp8_e4m3fn_scaled.safetensors", "vae/wan_2.1_vae.safetensors",
    ):  # fmt: skip
        path = scratch / "models" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def replaced(prompt: dict, scratch: Path) -> dict:
    """A prompt with a small video and what cannot be tiny replaced; others stay as they are."""
    own_vae = (scratch / "models" / "vae" / "wan_2.1_vae.safetensors").stat().st_size == 0
    made = {}
    for number, node in prompt.items():
        kind, inputs = node["class_type"], dict(node["inputs"])
        if kind == "CLIPLoader" or (own_vae and kind == "VAELoader"):
            continue
        if kind == "CLIPTextEncode":
            kind, inputs = "TinyWanText", {"text": inputs["text"]}
        if own_vae and kind == "VAEDecode":
            kind, inputs = "LatentToImages", {"samples": inputs["samples"]}
        if kind == "EmptyHunyuanLatentVideo":
            inputs.update(width=64, height=48, length=9)
        made[number] = {**node, "class_type": kind, "inputs": inputs}
    return made


def api_prompt(groups: list, object_info: dict) -> dict:
    """A graph of `workflow_graphs` as ComfyUI runs it, without a front end."""
    nodes = [node for _, nodes in groups for node in nodes if node[1] != "Note"]
    names = {node[0] for node in nodes}
    prompt = {}
    for name, kind, given, *_ in nodes:
        sockets = object_info[kind]["input"]
        known = {**sockets.get("required", {}), **sockets.get("optional", {})}
        inputs = {}
        for key, (what, *settings) in known.items():
            options = what if isinstance(what, list) else (settings or [{}])[0].get("options")
            first = options[0] if options else None
            first = first["key"] if isinstance(first, dict) else first  # of a DynamicCombo
            value = given.get(key, (settings or [{}])[0].get("default", first))
            source, _, slot = str(value).partition(".")
            if source in names and slot.isdigit():
                value = [source, int(slot)]
            if value is not None:
                inputs[key] = value
        prompt[name] = {"class_type": kind, "inputs": inputs, "_meta": {"title": kind}}
    return prompt
