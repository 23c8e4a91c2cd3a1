"""Files that a model needs beside its own: where they are looked for, what to do without them."""

from pathlib import Path

from tokenizers import Tokenizer

from ..errors import WeightsError
from ..hub import MODELS

TEXT_ENCODER = MODELS["t5-base"]
TEXT_ENCODER_NAMES = (
    "t5-base/model.safetensors",
    "t5-base.safetensors",
    "t5_base.safetensors",
    "t5-base-encoder.safetensors",
)
VAE_NAMES = ("vae.safetensors", "VAE.safetensors", "vae.ckpt", "VAE.ckpt")
SYNCHFORMER_NAMES = ("synchformer_state_dict.pth", "synchformer_state_dict.safetensors",
                     "synchformer.safetensors")  # fmt: skip
# sub-folders of the repositories on the hub, for whoever copied one as it is
HUB_FOLDERS = ("audiox_turbo", "pretrained_ckpt", "pretransform", "synchformer")
DEPTH = 3  # folders above a checkpoint that may be the `models` folder, whatever its name


def find_config(checkpoint: Path) -> Path | None:
    """The release's config.json beside a checkpoint, or above it as on the hub; None: not there."""
    folders = (checkpoint.parent, checkpoint.absolute().parents[1])
    paths = [folder / "config.json" for folder in folders[: 1 + _on_hub(checkpoint)]]
    return next((path for path in paths if path.is_file()), None)


def find_vae(checkpoint: Path, variant: str) -> Path:
    """The VAE of a checkpoint that holds none.

    Raises:
        WeightsError: it is nowhere; the message says what to get and where to put it.
    """
    if (found := search_vae(checkpoint)) is not None:
        return found
    release = MODELS.get(variant)
    if release is None:  # a model of somebody's own
        raise WeightsError(
            f"{checkpoint.name} holds no VAE and there is none beside it: put the vae.safetensors "
            f"that it was made with into {checkpoint.absolute().parent}, or name it with --vae."
        )
    raise WeightsError(
        f"{checkpoint.name} holds no VAE and there is none beside it: put vae.ckpt (or VAE.ckpt) "
        f"of {release.page} into {checkpoint.absolute().parent}, get it with "
        f"`{fetch_command(variant, checkpoint)}`, or name it with --vae."
    )


def search_vae(checkpoint: Path) -> Path | None:
    """A VAE beside a checkpoint, or where the hub's folders have it; None: there is none."""
    return _search(checkpoint, VAE_NAMES)


def search_synchformer(checkpoint: Path) -> Path | None:
    """Synchformer's weights beside a checkpoint or in `models/audiox`; None: there are none."""
    beside = _search(checkpoint, SYNCHFORMER_NAMES)
    shared = models_folder(checkpoint) / "audiox"  # all variants use the same file
    places = [
        folder / name
        for folder in (shared, *sorted(shared.glob("*/")))
        for name in SYNCHFORMER_NAMES
    ]
    return beside or next((path for path in places if path.is_file()), None)


def _search(checkpoint: Path, names: tuple[str, ...]) -> Path | None:
    """A file beside a checkpoint, in a sub-folder of the hub there, or in one beside that."""
    folders = (checkpoint.parent, *(checkpoint.absolute().parents[1],) * _on_hub(checkpoint))
    places = (
        folder / sub / name for folder in folders for sub in ("", *HUB_FOLDERS) for name in names
    )
    return next((path for path in places if path.is_file()), None)


def _on_hub(checkpoint: Path) -> bool:
    return checkpoint.parent.name in HUB_FOLDERS


def fetch_command(name: str, checkpoint: Path) -> str:
    """What gets a model of `MODELS` into the folder that a checkpoint lies in."""
    models = models_folder(checkpoint)
    where = "" if models == Path("models") else f" --dir {models}"
    return f"python -m audiox_core fetch {name}{where}"


def fetch_again(path: Path) -> str:
    """What gets a file again: of the model in whose folder it lies under its name, else of any."""
    folder = path.absolute().parent.as_posix()
    name = next(
        (
            model.name
            for model in MODELS.values()
            if folder.endswith(f"/{model.folder}") and any(f.name in path.name for f in model.files)
        ),
        None,
    )
    if name is not None:
        return f"`{fetch_command(name, path)}`"
    return f"`{fetch_command('NAME', path)}` (NAME is one of {', '.join(MODELS)})"


def find_text_encoder(argument: Path | None, checkpoint: Path) -> Path:
    """The weights of the T5-base encoder: as named, beside the checkpoint, or in `models/`.

    Raises:
        WeightsError: it is nowhere; the message says what to get and where to put it.
    """
    if argument is not None:
        return argument / "model.safetensors" if argument.is_dir() else argument
    if (found := search_text_encoder(checkpoint)) is not None:
        return found
    models = models_folder(checkpoint)
    raise WeightsError(
        f"{checkpoint.name} needs the T5-base text encoder, which its file does not hold. Get it "
        f"with `{fetch_command('t5-base', checkpoint)}`, or put model.safetensors "
        f"and tokenizer.json of {TEXT_ENCODER.page} into {models / TEXT_ENCODER.folder}, or name "
        "it with --text-encoder."
    )


def search_text_encoder(checkpoint: Path) -> Path | None:
    """The weights of a text encoder beside a checkpoint or in `models/`; None: there are none."""
    places = (folder / n for folder in text_encoder_folders(checkpoint) for n in TEXT_ENCODER_NAMES)
    return next((path for path in places if path.is_file()), None)


def models_folder(checkpoint: Path) -> Path:
    """The `models` folder that a checkpoint lies in; else the one of this name here."""
    above = checkpoint.absolute().parents
    named = next((folder for folder in above if folder.name == "models"), None)
    fetched = next((f for f in above[:DEPTH] if (f / "text_encoders").is_dir()), None)
    return named or fetched or Path("models")


def text_encoder_folders(checkpoint: Path) -> list[Path]:
    """Where a text encoder may lie, in the order of search."""
    roots = dict.fromkeys((models_folder(checkpoint), Path("models")))
    return [checkpoint.parent, *(r / name for r in roots for name in ("audiox", "text_encoders"))]


def load_tokenizer(weights: Path) -> Tokenizer:
    """The tokenizer beside a text encoder's weights.

    Raises:
        WeightsError: there is none, or it cannot be read.
    """
    path = weights.parent / "tokenizer.json"
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise WeightsError(
            f"There is no readable tokenizer.json beside {weights} ({error}): put the one of "
            f"{TEXT_ENCODER.page} there, or get both with `python -m audiox_core fetch t5-base`."
        ) from error
    return read_tokenizer(text, path)


def read_tokenizer(text: str, source: Path) -> Tokenizer:
    """A tokenizer from its JSON; `source` is named in the error."""
    try:
        return Tokenizer.from_str(text)
    except Exception as error:  # the library raises plain Exception
        raise WeightsError(
            f"The tokenizer in {source} cannot be read ({str(error)[:80]}): get the file again."
        ) from error
