"""The released models on the hub: repositories, files, and their places below `models/`."""

from dataclasses import dataclass

from ..errors import AudioXError

LICENCE = "The weights of AudioX are for non-commercial use (CC-BY-NC-4.0)."


class HubError(AudioXError):
    """A file cannot be downloaded from the hub, or not be stored."""


@dataclass(frozen=True)
class HubFile:
    """A file of a repository on the hub, and its name here."""

    path: str  # in the repository
    optional: bool = False  # not in every release

    @property
    def name(self) -> str:
        """Its name in the model's folder: without the repository's sub-folders."""
        return self.path.rpartition("/")[2]


@dataclass(frozen=True)
class HubModel:
    """A model on the hub and its place below `models/`."""

    name: str
    repo: str
    folder: str
    files: tuple[HubFile, ...]
    needs: tuple[str, ...] = ("t5-base",)  # other models of this list
    non_commercial: bool = True

    @property
    def page(self) -> str:
        """Its web page."""
        return f"https://huggingface.co/{self.repo}"


_CONFIG, _SYNC = HubFile("config.json", optional=True), "synchformer_state_dict.pth"
_TURBO = (HubFile("pretransform/vae.ckpt"), HubFile(f"synchformer/{_SYNC}"), _CONFIG)

MODELS = {
    model.name: model
    for model in (
        HubModel("audiox", "HKUSTAudio/AudioX", "audiox/audiox", (HubFile("model.ckpt"), _CONFIG)),
        HubModel(
            "audiox-maf", "HKUSTAudio/AudioX-MAF", "audiox/audiox-maf",
            (HubFile("model.ckpt"), HubFile(_SYNC), _CONFIG),
        ),
        HubModel(
            "audiox-maf-mmdit", "HKUSTAudio/AudioX-MAF-MMDiT", "audiox/audiox-maf-mmdit",
            (HubFile("model.ckpt"), HubFile("VAE.ckpt"), HubFile(_SYNC), _CONFIG),
        ),
        HubModel(
            "audiox-base", "HKUSTAudio/AudioX-Turbo", "audiox/audiox-base",
            (HubFile("pretrained_ckpt/pretrained_ckpt.ckpt"), *_TURBO),
        ),
        HubModel(
            "audiox-turbo", "HKUSTAudio/AudioX-Turbo", "audiox/audiox-turbo",
            (HubFile("audiox_turbo/audiox_turbo.ckpt"), *_TURBO),
        ),
        HubModel(  # the same file in every release of the MAF line
            "synchformer", "HKUSTAudio/AudioX-MAF", "audiox", (HubFile(_SYNC),), (),
        ),
        HubModel(
            "t5-base", "google-t5/t5-base", "text_encoders/t5-base",
            (HubFile("model.safetensors"), HubFile("tokenizer.json")), (), False,
        ),
    )
}  # fmt: skip


def model_of(name: str) -> HubModel:
    """A model of the list. Raises HubError for a name that is not on it."""
    if name not in MODELS:
        raise HubError(f"Unknown model {name!r}: choose one of {', '.join(MODELS)}.")
    return MODELS[name]
