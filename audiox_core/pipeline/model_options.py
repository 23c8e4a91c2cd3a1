"""Which model renders a request: its files, device and dtype, before any of them is opened.

Nothing here imports PyTorch: the command line uses it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import WeightsError
from ..paths import local_path


@dataclass(frozen=True)
class ModelOptions:
    """The options of a model; those that are None are found, or the best there is."""

    checkpoint: Path | None = None  # None: the embedded model
    lora: tuple[tuple[Path, float], ...] = ()  # files and strengths
    text_encoder: Path | None = None
    vae: Path | None = None
    synchformer: Path | None = None
    config: Path | None = None
    variant: str | None = None
    device: str | None = None
    dtype: str = "auto"
    accelerate: str = "off"

    @property
    def files(self) -> list[Path]:
        """The weights files that are named."""
        named = (self.checkpoint, self.vae, self.synchformer)
        return [path for path in (*named, *(path for path, _ in self.lora)) if path is not None]

    def check(self) -> None:
        """Raise WeightsError if a file that is named is missing or incomplete."""
        from ..checkpoint.file_check import check_whole  # imports what takes a while

        for path in (self.config, self.text_encoder):
            if path is not None and not path.exists():
                what = "file or folder" if path == self.text_encoder else "file"
                raise WeightsError(f"There is no {what} {path}: check the name and the folder.")
        for path in self.files:
            check_whole(path)


def model_options(values: Mapping[str, Any]) -> ModelOptions:
    """The model's options among those of a command line or of a line of a manifest."""
    given: dict[str, Any] = {name: values[name] for name in ModelOptions.__dataclass_fields__}
    given["lora"] = tuple(given["lora"])
    return ModelOptions(**given)


def parse_lora(text: str) -> tuple[Path, float]:
    """Parse `FILE` or `FILE:STRENGTH`; the colon of a Windows drive is part of the file."""
    name, _, strength = text.rpartition(":")
    try:
        return local_path(name or text), float(strength) if name else 1.0
    except ValueError:
        return local_path(text), 1.0
