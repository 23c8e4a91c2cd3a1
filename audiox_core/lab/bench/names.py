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
    "demo",
)

# time of a case, at most, as a multiple of its baseline: what it costs that a sound is long
MULTIPLES = {
    "long step": 7.1,  # 60 s are seven windows
    "long sound": 3.1,  # 30 s against 10 s
}
