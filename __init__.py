"""ComfyUI imports this directory as a package under a name that it makes from the path."""

WEB_DIRECTORY = "./web"


async def comfy_entrypoint():
    from .nodes import AudioXExtension  # late, so that pytest can import this file without ComfyUI

    return AudioXExtension()
