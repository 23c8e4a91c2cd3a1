"""Files that a model needs beside its own: where they are looked for, what to do without them."""

from pathlib import Path

from tokenizers import Tokenizer

from ..errors import WeightsError

TEXT_ENCODER_NAMES = (
    "t5-base/model.safetensors",
    "t5-base.safetensors",
    "t5_base.safetensors",
    "t5-base-encoder.safetensors",
)


def find_config(checkpoint: Path) -> Path | None:
    """The release's config.json beside a checkpoint, if it is there."""
    path = checkpoint.parent / "config.json"
    return path if path.is_file() else None


def find_text_encoder(argument: Path | None, checkpoint: Path) -> Path:
    """The weights of the T5-base encoder: as named, beside the checkpoint, or in `models/`.

    Raises:
        WeightsError: it is nowhere; the message says what to get and where to put it.
    """
    if argument is not None:
        return argument / "model.safetensors" if argument.is_dir() else argument
    folders = text_encoder_folders(checkpoint)
    for folder in folders:
        for name in TEXT_ENCODER_NAMES:
            if (folder / name).is_file():
                return folder / name
    raise WeightsError(
        f"{checkpoint.name} needs the T5-base text encoder, which its file does not hold. Put "
        f"model.safetensors and tokenizer.json of Hugging Face's google-t5/t5-base into "
        f"{folders[-1] / 't5-base'} (hf download google-t5/t5-base model.safetensors "
        f"tokenizer.json --local-dir {folders[-1] / 't5-base'}), or name it with --text-encoder."
    )


def text_encoder_folders(checkpoint: Path) -> list[Path]:
    """Where a text encoder may lie, in the order of search."""
    models = next((p for p in checkpoint.absolute().parents if p.name == "models"), Path("models"))
    return [checkpoint.parent, models / "audiox", models / "text_encoders"]


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
            "google-t5/t5-base there."
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
