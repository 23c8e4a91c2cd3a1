"""The files of `generate`, checked without PyTorch: whether they can be read and written."""

import argparse
from pathlib import Path

from ..config import LatentConfig
from ..errors import SettingsError
from ..limits import length_from
from ..media.files import check_outputs, open_media
from ..media.probe import media_kind
from ..media.timeline import PictureReader
from ..pipeline.model_options import ModelOptions
from ..pipeline.outputs import output_paths
from ..pipeline.record import PATHS
from ..pipeline.request import VARIATION, Request, check_times


def take_inputs(options: argparse.Namespace) -> None:
    """Make each input the video, image or audio of a run, by its content.

    A sound is the existing audio if an option changes existing audio, otherwise the audio prompt.

    Raises:
        AudioXError: a file cannot be read, or there are two of a kind.
    """
    changed = any(getattr(options, name) for name in VARIATION) and options.init_audio is None
    names: dict[str, str] = {
        "video": "video",
        "image": "image",
        "audio": "init_audio" if changed else "audio",
    }
    taken: set[str] = set()
    for path in options.inputs:
        if not path.exists() and not path.suffix:
            raise SettingsError(
                f"There is no file {path}. If it describes the sound, pass it with --prompt."
            )
        name = names[media_kind(path)]
        other = getattr(options, name)
        # as an option does, an input replaces that of a recorded run
        if other is not None and (options.from_json is None or name in taken):
            option = name.replace("_", "-")
            raise SettingsError(
                f"{other} and {path} are both the input --{option}: a run has only one. For "
                "several clips, use the command batch."
            )
        setattr(options, name, path)
        taken.add(name)


def check_files(output: Path, model: ModelOptions, request: Request) -> None:
    """Check the files that a run reads and writes, as far as that needs no model.

    Args:
        output: to write.
        model: whose files are checked.
        request: whose inputs are checked.

    Raises:
        AudioXError: a file is missing, damaged or of another kind, or the output cannot be written.
    """
    inputs = (getattr(request, name) for name in PATHS)
    check_outputs(output_paths(output, request.takes), inputs)
    for path in (request.image, request.audio, request.init_audio):
        if path is not None:
            with open_media(Path(path)):
                pass
    if request.video is not None:
        with PictureReader(Path(request.video)) as reader:
            total = float(reader.end())
        name = Path(request.video).name
        check_times(request, length_from(name, total, request.start, request.seconds))
    elif request.init_audio is None:  # else only reading it tells its length
        usual = LatentConfig().conditioned_seconds
        check_times(request, usual if request.seconds is None else request.seconds)
    model.check()
