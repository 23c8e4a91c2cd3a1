"""Errors as ComfyUI shows them: what happened and what to do in the graph."""

import importlib

import pytest
import torch
from safetensors.torch import save_file


def shown(comfy, error: BaseException) -> str:
    """The line of ComfyUI's front end: the type and the message."""
    return f"{comfy.execution.full_type_name(type(error))}: {error}"


def raised(node, name: str, **inputs) -> BaseException:
    with pytest.raises(Exception) as caught:  # noqa: PT011  # its type is what is tested
        node(name, **inputs)
    return caught.value


def test_an_error_begins_with_what_happened(comfy, node):
    video = importlib.import_module("comfy_api.latest").InputImpl.VideoFromFile("missing.mp4")
    audio = {"waveform": torch.zeros(1, 2, 100), "sample_rate": 44_100}
    error = raised(node, "AudioXSoundtrack", video=video, audio=audio)
    assert shown(comfy, error).startswith("AudioX: There is no file missing.mp4.")


def test_an_error_speaks_of_nodes_and_not_of_the_command_line(comfy, node):
    folder = comfy.scratch / "models" / "audiox"
    folder.mkdir(parents=True, exist_ok=True)
    save_file({"lora_A.weight": torch.zeros(1)}, folder / "lora.safetensors")
    comfy.folder_paths.filename_list_cache.clear()
    error = raised(node, "AudioXLoadCheckpoint", file="lora.safetensors")
    text = shown(comfy, error)
    assert text.startswith("AudioX: lora.safetensors is not an AudioX model: it is a LoRA")
    assert "connect a LoRA loader to the model" in text
    assert "--" not in text


def test_every_message_with_two_ways_names_both(pack):
    errors = importlib.import_module(f"{pack.__name__}.audiox_core.errors")
    error = errors.WeightsError("No VAE: [[pass --vae|load one\nwith AudioX Load VAE]].")
    assert str(error) == "No VAE: load one with AudioX Load VAE."
    assert error.args == ("No VAE: pass --vae.",)
