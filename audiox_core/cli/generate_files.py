"""The files of `generate`, checked without PyTorch: whether they can be read and written."""

import argparse
from pathlib import Path

from ..checkpoint.file_check import check_whole
from ..config import LatentConfig
from ..errors import SettingsError, WeightsError
from ..limits import length_from
from ..media.files import check_output, is_same_file, open_media
from ..media.timeline import PictureReader
from ..pipeline.request import Request, check_times


def output_paths(output: Path, takes: int) -> list[Path]:
    """The file of each take: the output itself, or with a number if there are several."""
    if takes == 1:
        return [output]
    return [output.with_name(f"{output.stem}-{k}{output.suffix}") for k in range(1, takes + 1)]


def check_files(options: argparse.Namespace, request: Request) -> None:
    """Check the files that a run reads and writes, as far as that needs no model.

    Args:
        options: of the command line.
        request: made from them.

    Raises:
        AudioXError: a file is missing, damaged or of another kind, or the output cannot be written.
    """
    for output in output_paths(options.output, request.takes):
        _check_output(output, request)
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
    for path in (options.config, options.text_encoder):
        if path is not None and not path.exists():
            what = "file or folder" if path == options.text_encoder else "file"
            raise WeightsError(f"There is no {what} {path}: check the name and the folder.")
    weights = (options.checkpoint, options.vae, options.synchformer)
    for path in (*weights, *(path for path, _strength in options.lora)):
        if path is not None:
            check_whole(path)


def _check_output(output: Path, request: Request) -> None:
    check_output(output)
    inputs = (request.video, request.image, request.audio, request.init_audio)
    if any(path and is_same_file(Path(path), output) for path in inputs):
        raise SettingsError(
            f"{output} is an input and would be overwritten: choose another --output."
        )
