"""The names of the cases.

Nothing here imports PyTorch: the command line lists them without waiting for it.
"""

NAMES = (
    "load",
    "encode text",
    "encode video",
    "encode image",
    "encode sync",
    "encode audio",
    "forward",
    "guided step",
    "long step",
    "decode",
    "long sound",
    "end to end",
    "command",
    "ten seconds",
)
