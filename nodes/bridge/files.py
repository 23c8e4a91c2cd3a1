"""Where ComfyUI keeps model files, and what a node lists of them."""

from pathlib import Path

import folder_paths

from ...audiox_core.checkpoint.checkpoint_file import EMBEDDED, CheckpointFile, open_checkpoint
from ...audiox_core.errors import WeightsError

KIND = "audiox"
# GGUF cannot be read, but is listed: its error names the alternatives
SUFFIXES = {".safetensors", ".ckpt", ".pth", ".pt", ".gguf"}
EMBEDDED_NAME = "embedded"  # saved in workflows: the model that comes with the pack
# other folders in which people put these files; there only names that say so are listed
ELSEWHERE = ("checkpoints", "diffusion_models", "vae")


def register_folder() -> None:
    """Our own kind of model folder; paths of extra_model_paths.yaml stay."""
    folder_paths.add_model_folder_path(KIND, str(Path(folder_paths.models_dir) / KIND))
    paths, _ = folder_paths.folder_names_and_paths[KIND]
    folder_paths.folder_names_and_paths[KIND] = (paths, SUFFIXES)


def model_names(*kinds: str) -> list[str]:
    """What a loader offers: the embedded model, our folder, then what elsewhere is named AudioX."""
    names = [EMBEDDED_NAME, *folder_paths.get_filename_list(KIND)]
    for kind in kinds or ELSEWHERE:
        names += [n for n in folder_paths.get_filename_list(kind) if "audiox" in n.lower()]
    return list(dict.fromkeys(names))


def model_path(name: str) -> Path:
    """A name of the list -> its file; names come from shared workflows and may not be here."""
    if name == EMBEDDED_NAME:
        return EMBEDDED
    for kind in (KIND, *ELSEWHERE):
        if (path := folder_paths.get_full_path(kind, name)) is not None:
            return Path(path)
    folder = folder_paths.get_folder_paths(KIND)[0]
    raise WeightsError(
        f"{name} is not in {folder}: put it there (`python -m audiox_core fetch` downloads the "
        "released models) and press R, or choose another file."
    )


def open_model(name: str, variant: str | None = None) -> CheckpointFile:
    """Open a checkpoint of the list; T5-base may be where ComfyUI keeps text encoders.

    Args:
        name: of the list.
        variant: a key of `VARIANTS`, where the file does not tell which of them it is.
    """
    kinds = ("text_encoders", KIND)
    folders = [Path(f) for kind in kinds for f in folder_paths.get_folder_paths(kind)]
    return open_checkpoint(model_path(name), variant=variant, text_encoder_folders=folders)


def temporary_folder() -> Path:
    """ComfyUI's own folder for files that live as long as a session."""
    folder = Path(folder_paths.get_temp_directory())
    folder.mkdir(parents=True, exist_ok=True)
    return folder
