"""The pack in a real ComfyUI of this very process, loaded as ComfyUI loads it."""

import asyncio
import importlib
import importlib.util
import inspect
import sys
from types import ModuleType, SimpleNamespace

import pytest
import torch

from audiox_core.diffusion.objectives import OBJECTIVES
from audiox_core.diffusion.samplers import solve
from audiox_core.pipeline.predictor import predictor
from audiox_core.windows import plan_frames

PACK = "comfyui-audiox-under-test"  # on purpose no identifier


@pytest.fixture(scope="session")
def comfy(host, tmp_path_factory) -> SimpleNamespace:
    """ComfyUI's own modules, with its folders in a scratch place."""
    if reason := host.why_not():
        pytest.skip(reason)
    sys.path.insert(0, str(host.find_comfyui()))  # first: its nodes.py must win over our nodes/
    from comfy.cli_args import args

    args.cpu = not torch.cuda.is_available()  # before anything imports comfy.model_management
    importlib.import_module("utils.extra_config")  # claims the name before comfy/utils.py can
    import folder_paths

    scratch = tmp_path_factory.mktemp("comfy")
    for kind in ("output", "input", "temp", "user"):
        (scratch / kind).mkdir()
        getattr(folder_paths, f"set_{kind}_directory")(str(scratch / kind))
    folder_paths.models_dir = str(scratch / "models")
    import execution
    import server

    import nodes

    assert hasattr(nodes, "NODE_CLASS_MAPPINGS")
    loop = asyncio.new_event_loop()
    loop.run_until_complete(_start(server, nodes, loop))
    return SimpleNamespace(
        nodes=nodes, execution=execution, folder_paths=folder_paths, loop=loop, scratch=scratch
    )


async def _start(server: ModuleType, nodes: ModuleType, loop: asyncio.AbstractEventLoop) -> None:
    server.PromptServer(loop)  # some of ComfyUI's nodes register routes on it
    await nodes.init_extra_nodes(init_custom_nodes=False, init_api_nodes=False)


@pytest.fixture(scope="session")
def pack(comfy, host) -> ModuleType:
    """This pack, under the name of a folder."""
    spec = importlib.util.spec_from_file_location(
        PACK, host.ROOT / "__init__.py", submodule_search_locations=[str(host.ROOT)]
    )
    module = importlib.util.module_from_spec(spec)
    sys.modules[PACK] = module
    spec.loader.exec_module(module)
    importlib.import_module(f"{PACK}.nodes")
    return module


@pytest.fixture(scope="session")
def node(comfy, pack):
    """Run a node of ours or of ComfyUI as its executor does: `node("AudioXDecode", vae=…)`.

    `node.text` is what the last one says.
    """
    extension = comfy.loop.run_until_complete(pack.comfy_entrypoint())
    ours = {
        c.GET_SCHEMA().node_id: c for c in comfy.loop.run_until_complete(extension.get_node_list())
    }
    comfy.nodes.NODE_CLASS_MAPPINGS.update(ours)

    def run(name: str, /, **inputs):  # a widget may be called `name`
        kind = comfy.nodes.NODE_CLASS_MAPPINGS[name]
        with torch.inference_mode():
            if hasattr(kind, "GET_SCHEMA"):
                for socket in kind.GET_SCHEMA().inputs:  # widgets that are left alone
                    if not socket.optional and (default := _default(socket)) is not None:
                        inputs.setdefault(socket.id, default)
                if kind.GET_SCHEMA().hidden:  # the executor makes such a class for each node
                    hidden = SimpleNamespace(unique_id="1")
                    kind = type(name, (kind,), {"hidden": hidden})
                result = kind.EXECUTE_NORMALIZED(**inputs)
                run.text = (getattr(result, "ui", None) or {}).get("text", [""])[0]
                result = result.result if hasattr(result, "result") else result
            else:
                result = getattr(kind(), kind.FUNCTION)(**inputs)
        return result[0] if len(result) == 1 else result

    run.classes = ours
    return run


@pytest.fixture
def execute(comfy, node):
    """ComfyUI's executor with its cache: `execute(prompt)` runs an API prompt."""
    server = SimpleNamespace(
        client_id=None, last_node_id=None, last_prompt_id=None, sockets_metadata={},
        send_sync=lambda *_, **__: None, queue_updated=lambda: None,
    )  # fmt: skip
    kind = comfy.execution.PromptExecutor
    named = "cache_size" in inspect.signature(kind).parameters
    cache = {"cache_size": None} if named else {
        "cache_args": {"lru": 0, "ram": 0, "ram_inactive": 0}
    }  # fmt: skip
    executor = kind(server, cache_type=comfy.execution.CacheType.CLASSIC, **cache)

    def run(prompt: dict) -> None:
        asked = comfy.execution.validate_prompt("a run", prompt, None)
        valid, error, outputs, errors = comfy.loop.run_until_complete(asked)
        assert valid, (error, errors)
        comfy.loop.run_until_complete(executor.execute_async(prompt, "a run", {}, outputs))
        assert executor.success, executor.status_messages

    run.executor = executor
    return run


def _default(socket):
    default = getattr(socket, "default", None)
    options = getattr(socket, "options", None)
    return default if default is not None or not options else options[0]


@pytest.fixture(scope="session")
def loaded(node) -> SimpleNamespace:
    """The embedded checkpoint as native objects."""
    model, conditioners, vae = node("AudioXLoadCheckpoint")
    return SimpleNamespace(model=model, conditioners=conditioners, vae=vae)


@pytest.fixture(scope="session")
def family(comfy, pack, node, toys):
    """Load a tiny model of a variant as native objects."""
    files = importlib.import_module(f"{pack.__name__}.nodes.bridge.files")
    folder = comfy.scratch / "models" / files.KIND
    folder.mkdir(parents=True, exist_ok=True)
    made = {}

    def load(variant: str) -> SimpleNamespace:
        if variant not in made:
            name = f"tiny-{variant}.safetensors"
            toys.write(toys.tiny(variant), folder / name)
            comfy.folder_paths.filename_list_cache.clear()
            model, conditioners, vae = node("AudioXLoadCheckpoint", file=name)
            made[variant] = SimpleNamespace(
                model=model, conditioners=conditioners, vae=vae, path=folder / name
            )
        return made[variant]

    return load


@pytest.fixture(scope="session")
def branches(node, loaded):
    """Positive and negative CONDITIONING of a prompt and, where asked for, windows of features."""

    def make(prompt: str = "rain", negative: str | None = None, **parts):
        text = node("AudioXEncodeText", conditioners=loaded.conditioners, text=prompt)
        if negative is not None:
            parts["negative_text"] = node(
                "AudioXEncodeText", conditioners=loaded.conditioners, text=negative
            )
        return node(
            "AudioXMaskedConditioning", conditioners=loaded.conditioners, text=text, **parts
        )

    return make


@pytest.fixture(scope="session")
def core_sample():
    """Sample with the solvers of the core from a given noisy latent, sigmas and step noise."""

    @torch.no_grad()
    def run(file, conditioning, start, sigmas, sampling, noise_sampler):
        objective = OBJECTIVES[file.config.objective]
        windows = plan_frames(file.config.latent, start.shape[-1])
        predict = predictor(file.load_backbone(), conditioning, sampling, windows)
        return solve(
            sampling.sampler, objective.denoiser(predict), start, sigmas,
            noise_sampler=noise_sampler, noised=objective.noised,
        )  # fmt: skip

    return run


@pytest.fixture(autouse=True)
def _global_state_is_left_alone():
    """ComfyUI seeds the global generator itself; the rest of the guard does not hold for it."""
    return
