"""Says that a run compiles the model, which takes minutes before the first step."""

import logging
from typing import Any
from weakref import WeakSet

from comfy.patcher_extension import WrappersMP
from comfy_execution.utils import get_executing_context

logger = logging.getLogger(__name__)

KEY = "torch.compile"  # of ComfyUI's wrapper, for TorchCompileModel and the nodes of other packs
TEXT = "Compiling the model (torch.compile): the first step may take minutes."

_announced: WeakSet[Any] = WeakSet()  # wrappers of models that have run


def announce_compiling(patcher: Any) -> None:
    """Log before the first run of a compiled MODEL that it compiles, and show it on the node."""
    new = [w for w in patcher.get_wrappers(WrappersMP.APPLY_MODEL, KEY) if w not in _announced]
    if not new:
        return
    _announced.update(new)
    logger.info(TEXT)
    from server import PromptServer  # late: it is not needed without a node

    context, server = get_executing_context(), getattr(PromptServer, "instance", None)
    if context is not None and server is not None:
        server.send_progress_text(TEXT, context.node_id)
