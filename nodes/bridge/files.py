"""Where ComfyUI keeps model files, and what a node lists of them."""

from pathlib import Path

import folder_paths

from ...audiox_core.checkpoint.companions import TEXT_ENCODER_NAMES
from ...audiox_core.checkpoint.load import EMBEDDED
from ...audiox_core.errors import WeightsError

KIND = "audiox"
# GGUF cannot be read; its error says what to take instead, a list without it says nothing
SUFFIXES = {".safetensors", ".ckpt", ".pth", ".pt", ".gguf"}
EMBEDDED_NAME = "embedded"  # saved in workflows: it means whatever model the pack carries
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
        f"There is no {name} in {folder}: put it there (`python -m audiox_core fetch` gets the "
        "released models), then refresh the node list with R, or choose another file."
    )


def text_encoder_path() -> Path | None:
    """T5-base where ComfyUI keeps text encoders, with its tokenizer beside it; None: not there."""
    folders = [f for kind in ("text_encoders", KIND) for f in folder_paths.get_folder_paths(kind)]
    found = (Path(folder) / name for folder in folders for name in TEXT_ENCODER_NAMES)
    return next((p for p in found if p.is_file() and (p.parent / "tokenizer.json").is_file()), None)


def temporary_folder() -> Path:
    """ComfyUI's own folder for files that live as long as a session."""
    folder = Path(folder_paths.get_temp_directory())
    folder.mkdir(parents=True, exist_ok=True)
    return folder
