"""The released models on the hub: repositories, files, names, and their places below `models/`.

`fetch` stores each model in a folder of its own, with the files' names on the hub. ComfyUI's
download dialog stores files flat, so each weights file has one more name, unique among all: the
value of the loader's widget, the name in a workflow's `properties.models`, and the file's name.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import PurePosixPath
from typing import Literal

from ..errors import AudioXError

LICENCE = "The weights of AudioX are for non-commercial use (CC-BY-NC-4.0)."


class HubError(AudioXError):
    """A file cannot be downloaded from the hub, or not be stored."""


@dataclass(frozen=True)
class HubModel:
    """A model on the hub and its place below `models/`."""

    name: str
    short: str  # what may be typed for `name`
    repo: str
    folder: str
    files: tuple[PurePosixPath, ...]  # in the repository; all are stored in one folder
    needs: tuple[str, ...] = ("t5-base",)  # other models of this list
    non_commercial: bool = True

    @property
    def page(self) -> str:
        """Its web page."""
        return f"https://huggingface.co/{self.repo}"


Part = Literal[
    "file", "vae_file", "synchformer_file", "text_encoder_file"
]  # as widgets of the loader


@dataclass(frozen=True)
class ReleasedFile:
    """A weights file under its unique name, flat in a folder of ComfyUI."""

    name: str
    part: Part
    models: tuple[str, ...]  # of `MODELS`; `fetch` of the first downloads it
    path: PurePosixPath  # in the repository of that model
    size: int  # bytes: of models and VAEs computed from the tensors in float32
    directory: str = "audiox"  # below `models/`
    elsewhere: str = ""  # address of the same weights under the unique name

    @property
    def model(self) -> HubModel:
        """The model that `fetch` downloads it with."""
        return MODELS[self.models[0]]

    @property
    def url(self) -> str:
        """Where a browser downloads it."""
        return self.elsewhere or f"{self.model.page}/resolve/main/{self.path}"

    @property
    def saved_as(self) -> str:
        """The name that a browser gives to the download; the Desktop app uses `name`."""
        return self.url.rpartition("/")[2]

    @property
    def places(self) -> tuple[PurePosixPath, ...]:
        """Where it may be below `directory`: flat, or as `fetch` stores it."""
        folders = (PurePosixPath(MODELS[n].folder).relative_to(self.directory) for n in self.models)
        fetched = (folder / self.path.name for folder in folders)
        return tuple(dict.fromkeys((PurePosixPath(self.name), *fetched)))


def _paths(*names: str) -> tuple[PurePosixPath, ...]:
    return tuple(map(PurePosixPath, names))


OPTIONAL = "config.json"  # not in every release
_SYNC = "synchformer_state_dict.pth"
_TURBO = ("pretransform/vae.ckpt", f"synchformer/{_SYNC}", OPTIONAL)

MODELS = {
    model.name: model
    for model in (
        HubModel(
            "audiox", "v1", "HKUSTAudio/AudioX", "audiox/audiox", _paths("model.ckpt", OPTIONAL),
        ),
        HubModel(
            "audiox-maf", "maf", "HKUSTAudio/AudioX-MAF", "audiox/audiox-maf",
            _paths("model.ckpt", _SYNC, OPTIONAL),
        ),
        HubModel(
            "audiox-maf-mmdit", "maf-mmdit", "HKUSTAudio/AudioX-MAF-MMDiT",
            "audiox/audiox-maf-mmdit", _paths("model.ckpt", "VAE.ckpt", _SYNC, OPTIONAL),
        ),
        HubModel(
            "audiox-base", "base", "HKUSTAudio/AudioX-Turbo", "audiox/audiox-base",
            _paths("pretrained_ckpt/pretrained_ckpt.ckpt", *_TURBO),
        ),
        HubModel(
            "audiox-turbo", "turbo", "HKUSTAudio/AudioX-Turbo", "audiox/audiox-turbo",
            _paths("audiox_turbo/audiox_turbo.ckpt", *_TURBO),
        ),
        HubModel(  # the same file in every release of the MAF line
            "synchformer", "sync", "HKUSTAudio/AudioX-MAF", "audiox", _paths(_SYNC), needs=(),
        ),
        HubModel(
            "t5-base", "t5", "google-t5/t5-base", "text_encoders/t5-base",
            _paths("model.safetensors", "tokenizer.json"), needs=(), non_commercial=False,
        ),
    )
}  # fmt: skip

_VAE_BYTES, _MMDIT_BYTES = 624_450_056, 10_842_967_008
_LINE = ("audiox-turbo", "audiox-base", "audiox-maf-mmdit", "audiox-maf")

FILES = {
    file.name: file
    for file in (
        ReleasedFile(
            "audiox_turbo.ckpt", "file", ("audiox-turbo",),
            PurePosixPath("audiox_turbo/audiox_turbo.ckpt"), _MMDIT_BYTES,
        ),
        ReleasedFile(
            "audiox_base.ckpt", "file", ("audiox-base",),
            PurePosixPath("pretrained_ckpt/pretrained_ckpt.ckpt"), _MMDIT_BYTES,
        ),
        ReleasedFile(
            "audiox_maf_mmdit.ckpt", "file", ("audiox-maf-mmdit",), PurePosixPath("model.ckpt"),
            _MMDIT_BYTES,
        ),
        ReleasedFile(
            "audiox_maf.ckpt", "file", ("audiox-maf",), PurePosixPath("model.ckpt"), 5_571_549_284
        ),
        ReleasedFile(
            "audiox_v1.ckpt", "file", ("audiox",), PurePosixPath("model.ckpt"), 5_956_699_216
        ),
        ReleasedFile(
            "audiox_vae.ckpt", "vae_file", ("audiox-turbo", "audiox-base"),
            PurePosixPath("pretransform/vae.ckpt"), _VAE_BYTES,
        ),
        ReleasedFile(
            "audiox_maf_mmdit_vae.ckpt", "vae_file", ("audiox-maf-mmdit",),
            PurePosixPath("VAE.ckpt"), _VAE_BYTES,
        ),
        ReleasedFile(
            _SYNC, "synchformer_file", ("synchformer", *_LINE), PurePosixPath(_SYNC), 950_058_171
        ),
        ReleasedFile(  # the copy that ComfyUI's own Stable Audio template downloads
            "t5-base.safetensors", "text_encoder_file", ("t5-base",),
            PurePosixPath("model.safetensors"), 891_646_390, "text_encoders",
            "https://huggingface.co/ComfyUI-Wiki/t5-base/resolve/main/t5-base.safetensors",
        ),
    )
}  # fmt: skip


def find_model(name: str, among: Iterable[str] = MODELS) -> HubModel:
    """A model by its name or short name, in any case.

    Args:
        name: such as `audiox-turbo` or `turbo`.
        among: names of `MODELS` that are allowed.

    Raises:
        HubError: there is no such model; the message suggests the nearest name.
    """
    allowed = [MODELS[n] for n in among]
    by_name = {key: model for model in allowed for key in (model.name, model.short)}
    if (model := by_name.get(name.lower())) is not None:
        return model
    near = get_close_matches(name.lower(), by_name, n=1)
    hint = f"did you mean {near[0]}? " if near else ""
    names = ", ".join(f"{model.short} ({model.name})" for model in allowed)
    raise HubError(f"Unknown model {name!r}: {hint}Choose one of {names}.")


def files_of(name: str) -> dict[Part, ReleasedFile]:
    """The weights files that a model needs, itself included, by part.

    Args:
        name: of `MODELS`, such as `audiox-turbo`; each part is a widget of AudioX Load Checkpoint,
            and the file's `name` is its value.
    """
    names = {name, *MODELS[name].needs}
    return {file.part: file for file in FILES.values() if names & {*file.models}}


def workflow_models(name: str) -> list[dict[str, str]]:
    """`properties.models` of a loader node in a workflow for a model: what ComfyUI offers to load.

    Args:
        name: of `MODELS`, such as `audiox-turbo`.
    """
    return [
        {"name": file.name, "url": file.url, "directory": file.directory}
        for file in files_of(name).values()
    ]
