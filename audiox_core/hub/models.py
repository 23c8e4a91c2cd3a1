"""The released models on the hub: repositories, files, and their places below `models/`."""

from dataclasses import dataclass
from pathlib import PurePosixPath

from ..errors import AudioXError

LICENCE = "The weights of AudioX are for non-commercial use (CC-BY-NC-4.0)."


class HubError(AudioXError):
    """A file cannot be downloaded from the hub, or not be stored."""


@dataclass(frozen=True)
class HubModel:
    """A model on the hub and its place below `models/`."""

    name: str
    repo: str
    folder: str
    files: tuple[PurePosixPath, ...]  # in the repository; all are stored in one folder
    needs: tuple[str, ...] = ("t5-base",)  # other models of this list
    non_commercial: bool = True

    @property
    def page(self) -> str:
        """Its web page."""
        return f"https://huggingface.co/{self.repo}"


def _paths(*names: str) -> tuple[PurePosixPath, ...]:
    return tuple(map(PurePosixPath, names))


OPTIONAL = "config.json"  # not in every release
_SYNC = "synchformer_state_dict.pth"
_TURBO = ("pretransform/vae.ckpt", f"synchformer/{_SYNC}", OPTIONAL)

MODELS = {
    model.name: model
    for model in (
        HubModel(
            "audiox", "HKUSTAudio/AudioX", "audiox/audiox", _paths("model.ckpt", OPTIONAL),
        ),
        HubModel(
            "audiox-maf", "HKUSTAudio/AudioX-MAF", "audiox/audiox-maf",
            _paths("model.ckpt", _SYNC, OPTIONAL),
        ),
        HubModel(
            "audiox-maf-mmdit", "HKUSTAudio/AudioX-MAF-MMDiT", "audiox/audiox-maf-mmdit",
            _paths("model.ckpt", "VAE.ckpt", _SYNC, OPTIONAL),
        ),
        HubModel(
            "audiox-base", "HKUSTAudio/AudioX-Turbo", "audiox/audiox-base",
            _paths("pretrained_ckpt/pretrained_ckpt.ckpt", *_TURBO),
        ),
        HubModel(
            "audiox-turbo", "HKUSTAudio/AudioX-Turbo", "audiox/audiox-turbo",
            _paths("audiox_turbo/audiox_turbo.ckpt", *_TURBO),
        ),
        HubModel(  # the same file in every release of the MAF line
            "synchformer", "HKUSTAudio/AudioX-MAF", "audiox", _paths(_SYNC), needs=(),
        ),
        HubModel(
            "t5-base", "google-t5/t5-base", "text_encoders/t5-base",
            _paths("model.safetensors", "tokenizer.json"), needs=(), non_commercial=False,
        ),
    )
}  # fmt: skip
