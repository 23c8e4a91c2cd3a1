"""Model files as a loader's widgets name them, opened by the core."""

from pathlib import Path
from typing import Any

import comfy.sd
import folder_paths

from ...audiox_core.checkpoint.checkpoint_file import CheckpointFile, open_checkpoint
from ...audiox_core.checkpoint.part_files import VaeFile
from ...audiox_core.checkpoint.part_files import open_vae as open_vae_file
from .conditioners import load_conditioners
from .files import AUTO, KIND, TEXT_KIND, file_path
from .live_preview import VAE
from .model import load_model
from .vae import load_vae

# T5's: a text encoder from ComfyUI's download dialog has none beside it
TOKENIZER = Path(comfy.sd.__file__).parent / "text_encoders" / "t5_tokenizer" / "tokenizer.json"


def open_model(
    name: str,
    variant: str = AUTO,
    *,
    vae: str = AUTO,
    synchformer: str = AUTO,
    text_encoder: str = AUTO,
    first: str = "",
) -> CheckpointFile:
    """Open a checkpoint of a list; T5-base may be where ComfyUI keeps text encoders.

    Args:
        name: of the list.
        variant: a key of `VARIANTS`, where the file does not tell which of them it is.
        vae, synchformer, text_encoder: names of their lists; `AUTO` takes the checkpoint's own, or
            what is found.
        first: kind of folder that is searched first for the checkpoint.
    """
    folders = [Path(f) for kind in (TEXT_KIND, KIND) for f in folder_paths.get_folder_paths(kind)]
    return open_checkpoint(
        file_path("file", name, first),
        text_encoder=file_path("text_encoder_file", text_encoder),
        vae=file_path("vae_file", vae),
        synchformer=file_path("synchformer_file", synchformer),
        variant=None if variant == AUTO else variant,
        text_encoder_folders=folders,
        tokenizer=TOKENIZER if TOKENIZER.is_file() else None,
    )


def load_all(file: CheckpointFile, weight_dtype: str) -> tuple[Any, Any, Any]:
    """A checkpoint -> MODEL, AUDIOX_CONDITIONERS, VAE; the MODEL decodes its previews with it."""
    conditioners = load_conditioners(file)  # first: a saved transformer alone has none
    model, vae = load_model(file, weight_dtype), load_vae(file.vae)
    model.set_attachments(VAE, vae)
    return model, conditioners, vae


def open_vae(name: str) -> VaeFile:
    """Open the VAE in a file of the list."""
    return open_vae_file(file_path("file", name, "vae") or Path(name))
