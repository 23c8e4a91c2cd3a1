"""The classes of the recorded effects. Nothing here imports PyTorch or NumPy."""

# with an onset
EVENT_LABELS = (
    "dog", "bird", "door", "footsteps", "ball", "clock", "drip", "bell", "chime", "anvil",
    "drum", "telephone", "explosion", "thunder", "laugh", "heartbeat",
)  # fmt: skip
# continuous: they follow a level
TEXTURE_LABELS = (
    "rain", "wind", "sea", "fire", "engine", "train", "helicopter", "siren", "applause", "horse",
)  # fmt: skip
LABELS = EVENT_LABELS + TEXTURE_LABELS
