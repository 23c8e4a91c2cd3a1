"""The classes of sounds of the rendered clips.

Nothing here imports PyTorch or NumPy: the command line lists them without waiting.
"""

# with an onset
EVENT_LABELS = (
    "ball", "beep", "marimba", "bell", "anvil", "footsteps", "clock", "drip", "bird",
)  # fmt: skip
TEXTURE_LABELS = ("rain", "wind", "engine")  # continuous: they follow a level
LABELS = EVENT_LABELS + TEXTURE_LABELS
