"""Where ComfyUI keeps model files, and what a node lists of them. Nothing here opens one."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import folder_paths

from ...audiox_core.checkpoint.released_files import EMBEDDED, find_released, missing_released
from ...audiox_core.errors import WeightsError
from ...audiox_core.hub.models import FILES, Part

KIND, TEXT_KIND = "audiox", "text_encoders"
# GGUF cannot be read, but is listed: its error names the alternatives
SUFFIXES = {".safetensors", ".ckpt", ".pth", ".pt", ".gguf"}
EMBEDDED_NAME = "embedded"  # saved in workflows: the model that comes with the pack
AUTO = "auto"  # what the checkpoint brings, or what lies beside it
# other folders in which people put these files; there only names that say so are listed
ELSEWHERE = ("checkpoints", "diffusion_models", "vae")
PARTS: dict[Part, tuple[str, ...]] = {  # widget -> kinds of folders
    "file": (KIND, *ELSEWHERE),
    "vae_file": (KIND, "vae", "checkpoints", "diffusion_models"),
    "synchformer_file": (KIND,),
    "text_encoder_file": (TEXT_KIND, KIND),
}
WORDS = {
    "synchformer_file": "synchformer",
    "text_encoder_file": "t5",
}  # in the name of a file of that part


def register_folder() -> None:
    """Our own kind of model folder; paths of extra_model_paths.yaml stay."""
    folder = Path(folder_paths.models_dir) / KIND
    with suppress(OSError):  # a models folder that is read-only has its files already
        folder.mkdir(parents=True, exist_ok=True)
    folder_paths.add_model_folder_path(KIND, str(folder))
    paths, _ = folder_paths.folder_names_and_paths[KIND]
    folder_paths.folder_names_and_paths[KIND] = (paths, SUFFIXES)


def file_names(*parts: Part) -> list[str]:
    """What a widget offers: released files that are here by their one name, then all others.

    Args:
        parts: that the widget may load. The first decides about the first option: the embedded
            model for `file`, else `AUTO`.
    """
    names = [EMBEDDED_NAME if parts[0] == "file" else AUTO]
    places = {str(place): file for file in FILES.values() for place in file.places}
    for part in parts:
        here = (file for file in FILES.values() if file.part == part)
        names += [file.name for file in here if find_released(file, _folders(file.directory))]
        for kind in PARTS[part]:
            for name in folder_paths.get_filename_list(kind):
                if name.replace("\\", "/") not in places and _may_be(part, kind, name.lower()):
                    names.append(name)
    return list(dict.fromkeys(names))


def _may_be(part: Part, kind: str, name: str) -> bool:
    if part in WORDS:
        return WORDS[part] in name and (part != "text_encoder_file" or "base" in name)
    return kind == KIND or "audiox" in name


def _folders(kind: str) -> list[Path]:
    return [Path(folder) for folder in folder_paths.get_folder_paths(kind)]


def file_path(part: Part, name: str, first: str = "") -> Path | None:
    """The file of a widget's value; None for `AUTO`.

    The value may come from a shared workflow: its file may not be here, or be written with the
    backslashes of Windows.

    Args:
        part: that the widget loads.
        name: its value.
        first: kind of folder that is searched before the others. ComfyUI's save nodes give files
            of different parts the same name.

    Raises:
        WeightsError: there is no such file; the message says how to get a released one.
    """
    if name == AUTO and part != "file":
        return None
    if name == EMBEDDED_NAME and part == "file":
        return EMBEDDED
    if not name or not isinstance(name, str):  # ComfyUI saves an empty list's widget as null
        raise WeightsError(f"No file is selected in {part}: select one from the list.")
    if (path := next(_candidates(part, name, first), None)) is not None:
        return path
    folder = _folders(PARTS[part][0])[0]
    file = FILES.get(Path(name.replace("\\", "/")).name)
    if file is not None:
        raise WeightsError(missing_released(file, _folders(file.directory)[0]))
    raise WeightsError(
        f"{name} is not in {folder}: put it there (`python -m audiox_core fetch` downloads the "
        "released models) and press R, or choose another file."
    )


def _candidates(part: Part, name: str, first: str) -> Iterator[Path]:
    if (file := FILES.get(name)) is not None and (
        found := find_released(file, _folders(file.directory))
    ) is not None:
        yield found
    for kind in sorted(PARTS[part], key=lambda kind: kind not in (KIND, first)):
        for written in dict.fromkeys((name, name.replace("\\", "/"))):
            if (path := folder_paths.get_full_path(kind, written)) is not None:
                yield Path(path)


def check_files(**names: str | None) -> bool | str:
    """For `validate_inputs`: True, or what to do where the file of a widget is missing.

    Args:
        names: values by widget; None for one that is linked.
    """
    try:
        for part, name in names.items():
            if name is not None:
                file_path(part, name)  # type: ignore[arg-type]
    except WeightsError as error:
        return str(error)
    return True


def temporary_folder() -> Path:
    """ComfyUI's own folder for files that live as long as a session."""
    folder = Path(folder_paths.get_temp_directory())
    folder.mkdir(parents=True, exist_ok=True)
    return folder
