"""The example clips that come with this repository; `lab examples` renders them again."""

from dataclasses import dataclass
from pathlib import Path

from ..errors import SettingsError

FOLDER = Path(__file__).parents[1] / "assets" / "examples"


@dataclass(frozen=True)
class Clip:
    """What is seen in a clip, and the prompts for its sound. Times are in seconds."""

    picture: float  # of the frame that is its picture
    prompt: str = ""
    prompts: tuple[tuple[float, float, str], ...] = ()  # start, end and text, before `prompt`
    events: tuple[float, ...] = ()  # at which something is seen to happen
    seconds: float = 10.0


CLIPS = {
    "yard": Clip(
        picture=1.25,
        prompt="a clap of thunder",
        prompts=((0.0, 3.8, "two dog barks"), (3.8, 6.5, "a door slam")),
        events=(1.2, 2.4, 4.5, 7.0),
    ),
    "ball": Clip(
        picture=5.16,
        prompt="a ball bounces",
        events=(1.8489, 3.8914, 5.0976, 6.8868, 7.8184, 9.1414),
    ),
    "car": Clip(picture=5.5, prompt="a car engine revving"),
    "rain": Clip(picture=2.0, prompt="heavy rain on a roof"),
    "music": Clip(picture=3.0, seconds=14.0),
}
VIDEOS = tuple(name for name, clip in CLIPS.items() if clip.prompt)  # the other one is music


def example_file(name: str) -> Path:
    """The clip of an example: a video with its own sound.

    Args:
        name: a key of `CLIPS`.

    Raises:
        SettingsError: an unknown name, or the file is missing.
    """
    if name not in CLIPS:
        raise SettingsError(f"Unknown example {name!r}: choose one of {', '.join(CLIPS)}.")
    path = FOLDER / f"{name}.mp4"
    if not path.is_file():
        raise SettingsError(
            f"{path.name} is missing in audiox_core/assets/examples: install the pack again."
        )
    return path
