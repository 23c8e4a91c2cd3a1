"""The only folder that touches ComfyUI's internals: core modules in, native objects out.

A node module needs only `schema` and `files` to describe its nodes. It reaches the other modules
as attributes of this package, which are imported at their first use: ComfyUI starts without them.
"""

from importlib import import_module
from types import ModuleType


def __getattr__(name: str) -> ModuleType:
    try:
        return import_module(f".{name}", __name__)
    except ModuleNotFoundError as error:
        if error.name != f"{__name__}.{name}":
            raise
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None
