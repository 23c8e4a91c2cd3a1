"""The files of `generate`, checked without PyTorch: whether they can be read and written."""

from pathlib import Path

from ..config import LatentConfig
from ..limits import length_from
from ..media.files import check_outputs, open_media
from ..media.timeline import PictureReader
from ..pipeline.model_options import ModelOptions
from ..pipeline.outputs import output_paths
from ..pipeline.request import Request, check_times


def check_files(output: Path, model: ModelOptions, request: Request) -> None:
    """Check the files that a run reads and writes, as far as that needs no model.

    Args:
        output: to write.
        model: whose files are checked.
        request: whose inputs are checked.

    Raises:
        AudioXError: a file is missing, damaged or of another kind, or the output cannot be written.
    """
    inputs = (request.video, request.image, request.audio, request.init_audio)
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
