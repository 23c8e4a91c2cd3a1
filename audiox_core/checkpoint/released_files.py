"""Where released weights are on this machine, and what to do where they are not.

Nothing here imports PyTorch: the command line refuses a wrong name without waiting for it.
"""

import re
import shlex
from collections.abc import Iterable
from pathlib import Path, PureWindowsPath

from ..errors import WeightsError
from ..hub.models import FILES, MODELS, HubError, ReleasedFile, files_of, find_model

EMBEDDED = Path(__file__).parents[1] / "assets" / "audiox-nano.safetensors"
_PLAIN = re.compile(r"[\w./\\:~+-]+")  # a path that PowerShell and cmd do not take apart
RELEASES = tuple(name for name, model in MODELS.items() if model.needs)  # with a transformer


def find_released(file: ReleasedFile, folders: Iterable[Path]) -> Path | None:
    """A released file on this machine; None: it is not there.

    Args:
        file: of `FILES`.
        folders: each may be the `file.directory` of a `models` folder.
    """
    places = (folder / place for folder in folders for place in file.places)
    return next((path for path in places if path.is_file()), None)


def missing_released(file: ReleasedFile, folder: Path) -> str:
    """What to do where a released file is not on this machine: its size, link, folder and command.

    Args:
        file: of `FILES`.
        folder: where it belongs; the `file.directory` of a `models` folder.
    """
    browser = "" if file.saved_as == file.name else f" (a browser calls it {file.saved_as})"
    fetch = fetch_into(file.model.short, folder.parent)
    return (
        f"{file.name} ({file.size / 1e9:.1f} GB) is not in {folder}: download {file.url} and put "
        f"it there as {file.name}{browser}, or run `{fetch}`"
        "[[| in the pack's folder, and press R]]."
    )


def fetch_into(name: str, models: Path) -> str:
    """The command that downloads a model into a `models` folder."""
    where = "" if models == Path("models") else f" --dir {_quoted(models)}"
    return f"python -m audiox_core fetch {name}{where}"


def _quoted(path: Path) -> str:
    """A path as the usual shell of its system takes it."""
    if not isinstance(path, PureWindowsPath):
        return shlex.quote(f"{path}")
    return f"{path}" if _PLAIN.fullmatch(f"{path}") else f'"{path}"'


def checkpoint_path(name: str | Path) -> Path:
    """The path of a checkpoint that may be given as a released model's name.

    Args:
        name: a path, a name such as `turbo` or `audiox-turbo`, or a name of `FILES`. A file of that
            name comes first.

    Raises:
        WeightsError: the model is not on this machine, or there is neither such a file nor a model.
    """
    path, text = Path(name), str(name)
    if path.name != text or (path.suffix and text not in FILES) or _exists(path):
        return path
    if (file := FILES.get(text)) is None:
        file = _model_file(text)
    folders = [models / file.directory for models in _models_folders()]
    if (found := find_released(file, folders)) is None:
        raise WeightsError(missing_released(file, folders[0]))
    return found


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # a name that is too long; opening it is an error
        return True


def _model_file(name: str) -> ReleasedFile:
    try:
        return files_of(find_model(name, RELEASES).name)["file"]
    except HubError as error:
        raise WeightsError(f"There is no weights file {name}. {error}") from None


def _models_folders() -> list[Path]:
    """The `models` folders to look in: ComfyUI's, if this is one of its packs, and the one here."""
    packs = Path(__file__).parents[2].parent
    return [packs.parent / "models"] * (packs.name == "custom_nodes") + [Path("models")]
