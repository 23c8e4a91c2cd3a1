"""Files that a model needs beside its own: where to look for them, and what to do without them."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from tokenizers import Tokenizer

from ..errors import WeightsError, check_regular_file
from ..hub.models import FILES, MODELS, files_of
from .released_files import fetch_into, find_released

TEXT_ENCODER = MODELS["t5-base"]
TEXT_ENCODER_NAMES = (
    "t5-base/model.safetensors",
    "t5-base.safetensors",
    "t5_base.safetensors",
    "t5-base-encoder.safetensors",
)
VAE_NAMES = ("vae.safetensors", "VAE.safetensors", "vae.ckpt", "VAE.ckpt")
SYNCHFORMER_NAMES = (
    "synchformer_state_dict.pth",
    "synchformer_state_dict.safetensors",
    "synchformer.safetensors",
)
# sub-folders of the repositories on the hub, for users who copied a repository as it is
HUB_FOLDERS = ("audiox_turbo", "pretrained_ckpt", "pretransform", "synchformer")
DEPTH = 3  # folders above a checkpoint that may be the `models` folder under another name


def find_config(checkpoint: Path) -> Path | None:
    """The release's config.json beside a checkpoint, or above it as on the hub; None: not found.

    Files of several releases may lie flat in `models/audiox`: a config.json there tells nothing.
    """
    if checkpoint.name in FILES and checkpoint.absolute().parent.name == "audiox":
        return None
    return _first(folder / "config.json" for folder in _folders(checkpoint))


def find_vae(checkpoint: Path, variant: str | None = None) -> Path | None:
    """A VAE beside a checkpoint, in the folder that it has on the hub, or in `models/audiox`.

    Args:
        checkpoint: that the VAE is for.
        variant: of the checkpoint; None takes that of a released file's name.

    Returns:
        None: not found.
    """
    if variant is None and checkpoint.name in FILES:
        variant = FILES[checkpoint.name].models[0]
    released = files_of(variant).get("vae_file") if variant in MODELS else None
    names = VAE_NAMES if released is None else (released.name, *VAE_NAMES)
    if (beside := _first(_beside(checkpoint, names))) is not None or released is None:
        return beside
    return find_released(released, [models_folder(checkpoint) / released.directory])


def find_synchformer(checkpoint: Path) -> Path | None:
    """Synchformer's weights beside a checkpoint or in `models/audiox`; None: not found."""
    shared = models_folder(checkpoint) / "audiox"  # all variants use the same file
    folders = (shared, *sorted(shared.glob("*/")))
    in_shared = (folder / name for folder in folders for name in SYNCHFORMER_NAMES)
    return _first(_beside(checkpoint, SYNCHFORMER_NAMES)) or _first(in_shared)


def find_text_encoder(
    checkpoint: Path, folders: Sequence[Path] = (), *, tokenizer: bool = True
) -> Path | None:
    """The weights of a text encoder; None: not found.

    Args:
        checkpoint: the search goes on beside it and in `models/`.
        folders: where to look first.
        tokenizer: ignore weights that have no tokenizer.json beside them.
    """
    roots = dict.fromkeys((models_folder(checkpoint), Path("models")))
    in_models = (root / name for root in roots for name in ("audiox", "text_encoders"))
    folders = (*folders, checkpoint.parent, *in_models)
    found = (folder / name for folder in folders for name in TEXT_ENCODER_NAMES)
    return _first(p for p in found if not tokenizer or tokenizer_of(p).is_file())


def _first(paths: Iterable[Path]) -> Path | None:
    return next((path for path in paths if path.is_file()), None)


def _beside(checkpoint: Path, names: tuple[str, ...]) -> Iterable[Path]:
    """Paths beside a checkpoint, in a sub-folder of the hub there, or in one beside that."""
    return (f / sub / n for f in _folders(checkpoint) for sub in ("", *HUB_FOLDERS) for n in names)


def _folders(checkpoint: Path) -> tuple[Path, ...]:
    """The checkpoint's folder and, where that is a sub-folder of the hub, the one above it."""
    folder = checkpoint.parent
    if folder.name not in HUB_FOLDERS:
        return (folder,)
    return (folder, folder.absolute().parent)


def models_folder(checkpoint: Path) -> Path:
    """The `models` folder that a checkpoint lies in; else the one in the working directory."""
    above = checkpoint.absolute().parents
    named = next((folder for folder in above if folder.name == "models"), None)
    fetched = next((f for f in above[:DEPTH] if (f / "text_encoders").is_dir()), None)
    return named or fetched or Path("models")


def fetch_command(name: str, checkpoint: Path) -> str:
    """The command that downloads a model of `MODELS` into the models folder of a checkpoint."""
    return fetch_into(name, models_folder(checkpoint))


def fetch_again(path: Path) -> str:
    """The command that downloads a file again, by the model in whose folder it lies."""
    folder = path.absolute().parent.as_posix()
    for model in MODELS.values():
        if folder.endswith(f"/{model.folder}") and any(f.name in path.name for f in model.files):
            return f"`{fetch_command(model.name, path)}`"
    if (file := FILES.get(path.name)) is not None:
        return f"`{fetch_command(file.models[0], path)}`"
    return f"`{fetch_command('NAME', path)}` (NAME is one of {', '.join(MODELS)})"


def missing_vae(path: Path, variant: str | None) -> str:
    """What to do where neither the checkpoint nor its folder has a VAE."""
    folder, release = path.absolute().parent, MODELS.get(variant or "")
    if release is None:  # a model that the user trained
        remedy = f"put the vae.safetensors that it was trained with into {folder}"
    else:
        remedy = (
            f"put vae.ckpt (or VAE.ckpt) of {release.page} into {folder}, download it with "
            f"`{fetch_command(release.name, path)}`"
        )
    return (
        f"{path.name} contains no VAE, and none was found beside it: {remedy}, or "
        "[[pass --vae|load one with AudioX Load VAE]]."
    )


def missing_text_encoder(checkpoint: Path) -> str:
    """What to do where neither the checkpoint nor the model folders have a text encoder."""
    folder = models_folder(checkpoint) / TEXT_ENCODER.folder
    return (
        f"{checkpoint.name} needs the T5-base text encoder, which is not in the file. Download it "
        f"with `{fetch_command('t5-base', checkpoint)}`, put model.safetensors and tokenizer.json "
        f"of {TEXT_ENCODER.page} into {folder}[[, or pass --text-encoder|]]."
    )


def missing_synchformer(checkpoint: Path) -> str:
    """What to do where neither the checkpoint nor the model folders have a Synchformer."""
    return (
        "This model needs Synchformer for video and images, and it was not found: put "
        "synchformer_state_dict.pth beside the checkpoint or into models/audiox "
        f"(`{fetch_command('synchformer', checkpoint)}`) and load the model again"
        "[[, or pass --synchformer|]]."
    )


def tokenizer_of(weights: Path) -> Path:
    """The path of the tokenizer that belongs to a text encoder's weights."""
    return weights.parent / "tokenizer.json"


def load_tokenizer(
    weights: Path, text: str | None = None, otherwise: Path | None = None
) -> Tokenizer:
    """The tokenizer of a text encoder.

    Args:
        weights: of the text encoder.
        text: its tokenizer's JSON; None reads the file beside the weights.
        otherwise: a tokenizer.json to read where there is none beside the weights.

    Raises:
        WeightsError: there is none, or it cannot be read.
    """
    path = tokenizer_of(weights) if text is None else weights
    if text is None and otherwise is not None and not path.is_file():
        path = otherwise
    try:
        if text is None:
            check_regular_file(path, WeightsError)
            text = path.read_text(encoding="utf-8")
        return Tokenizer.from_str(text)
    except WeightsError:
        raise
    except Exception as error:  # the library raises plain Exception
        raise WeightsError(
            f"There is no readable tokenizer in {path} ({str(error)[:80]}): download it from "
            f"{TEXT_ENCODER.page}, or both files with `python -m audiox_core fetch t5-base`."
        ) from error
