"""The example clips that come with this repository; `lab examples` renders them again."""

from pathlib import Path

from ..errors import SettingsError

FOLDER = Path(__file__).parents[1] / "assets" / "examples"
PICTURES = {"ball": 2.96, "car": 6.5, "rain": 6.0, "music": 3.0}  # s: the frame that is its picture


def example_file(name: str) -> Path:
    """The clip of an example: a video with its own sound.

    Args:
        name: a key of `PICTURES`.

    Raises:
        SettingsError: an unknown name, or the file is missing.
    """
    if name not in PICTURES:
        raise SettingsError(f"Unknown example {name!r}: choose one of {', '.join(PICTURES)}.")
    path = FOLDER / f"{name}.mp4"
    if not path.is_file():
        raise SettingsError(
            f"{path.name} is missing in audiox_core/assets/examples: install the pack again."
        )
    return path
