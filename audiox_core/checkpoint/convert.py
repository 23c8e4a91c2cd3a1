"""Released files -> one safetensors with the config in its header and no VAE twice."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from ..conditioners.missing_module import MissingModule
from ..config import AudioXConfig
from ..device import DTYPES
from ..errors import SettingsError, WeightsError
from .checkpoint_file import open_checkpoint
from .layout import AUDIO_VAE, DIT, VAE, check_layout, check_vae, used
from .modules import check_numbers, not_floating
from .part_files import VaeFile
from .quantized import QUANTIZATION
from .scaled_float8 import FLOAT8, SCALED_FLOAT8, scaled_float8
from .weight_file import Stored, WeightFile, differing, open_weights, reading
from .write import NAMES, check_target, write_safetensors

STORED_DTYPES = {**DTYPES, "float8_e4m3fn": FLOAT8, SCALED_FLOAT8: SCALED_FLOAT8}
# few numbers on which much depends: frequencies, positions, learned absence
KEPT_FLOAT32 = (
    "timestep_features.weight",
    "empty_visual_feat",
    "empty_audio_feat",
    "Temp_pos_embedding",
    "position_embedding.weight",
)


@dataclass(frozen=True)
class Converted:
    """What a conversion made."""

    path: Path
    config: AudioXConfig
    tensors: int
    nbytes: int
    vae_copies: str  # what became of the VAE's copies, in words


def convert(
    inputs: Sequence[str | Path],
    output: str | Path,
    *,
    dtype: torch.dtype | str | None = None,
    config: str | Path | None = None,
    variant: str | None = None,
    on_tensor: Callable[[Stored], object] | None = None,
) -> Converted:
    """Write a model into one safetensors file; a few tensors are in memory at a time.

    Args:
        inputs: the model, then a VAE for decoding, if that is a file of its own; of a model that
            holds none the one beside it is taken.
        output: ends in `.safetensors`; replaced if it exists, but for the inputs.
        dtype: of the matrices: None keeps what is stored. Norms, biases, gains and embeddings
            stay float32. `float8_e4m3fn` holds for the transformer's layers; the rest, whose
            results everything depends on, becomes float16. "float8_scaled" does the same with a
            scale for each layer, in a layout that every ComfyUI reads.
        config: the release's config.json; None takes the one beside the model, if any.
        variant: a key of `VARIANTS`, where the model's file does not tell which of them it is.
        on_tensor: called with each tensor that was written.

    Returns:
        The path, the config in its header, and how much was written.

    Raises:
        WeightsError: an input is no whole model or VAE, a number does not fit the dtype, or the
            output cannot be written.
        SettingsError: the output is one of the inputs, or there are too many.
    """
    output = Path(output)
    check_target(output)
    path, vae = _model_and_vae(inputs)
    if output.exists() and any(output.samefile(path) for path in inputs):
        raise SettingsError(f"{output} is also an input: choose another name for the new file.")
    file = open_checkpoint(path, vae=vae, config=config, variant=variant)
    model, decoder, settings = file.weights, file.vae, file.config
    if isinstance(decoder, MissingModule):
        raise WeightsError(decoder.message)
    if not model.below(VAE):
        settings = replace(settings, vae=decoder.sizes)
    check_layout(model, settings)
    stored = model
    if dtype == SCALED_FLOAT8:
        stored, dtype = scaled_float8(model, older=True), torch.float16
    elif dtype is None and model.packed is not None:
        stored = model.packed
    assert not isinstance(dtype, str), dtype
    sources, copies = _sources(model, stored, decoder, settings)
    tensors = {
        name: stored_as(name, file.tensors[theirs], dtype)
        for name, (file, theirs) in sources.items()
    }

    if odd := next((n for n, stored in tensors.items() if stored.dtype not in NAMES), None):
        raise not_floating(*sources[odd])

    def read(name: str) -> Tensor:
        file, theirs = sources[name]
        tensor = file.copy(theirs)
        with reading(file.path):  # there may be no memory for another dtype
            if used([theirs]) and not file.tensors[theirs].packed:
                check_numbers(file, theirs, tensor)
            return cast(tensor, tensors[name].dtype, name)

    own = {"format": "pt", "audiox": settings.to_json()}
    header = {name: text for name, text in model.header.items() if name != QUANTIZATION}
    metadata = {**header, **_record(model, decoder), **own}
    write_safetensors(output, tensors, read, metadata, on_tensor)
    nbytes = sum(stored.nbytes for stored in tensors.values())
    return Converted(output, settings, len(tensors), nbytes, copies)


def _model_and_vae(inputs: Sequence[str | Path]) -> tuple[str | Path, str | Path | None]:
    """The paths of the model and of the separate VAE, in whichever order they were given."""
    if not 1 <= len(inputs) <= 2:
        raise SettingsError(f"{len(inputs)} files were given: pass one model and at most one VAE.")
    models = [path for path in inputs if open_weights(path).below(DIT)]
    if len(models) > 1:
        raise SettingsError("Two complete models were given: convert them one at a time.")
    model = (models or inputs)[0]
    return model, next((path for path in inputs if path is not model), None)


def _record(model: WeightFile, decoder: VaeFile) -> dict[str, str]:
    """How a model of ours was trained, and the VAE that decodes in place of its own."""
    if decoder.weights is model or "trained" not in model.header:
        return {}
    record = json.loads(decoder.weights.header.get("trained", "{}"))
    return {"trained": json.dumps({**json.loads(model.header["trained"]), "decoder": record})}


def _sources(
    model: WeightFile, stored: WeightFile, decoder: VaeFile, config: AudioXConfig
) -> tuple[dict[str, tuple[WeightFile, str]], str]:
    """The file and the name there of each new tensor, and what became of the VAE's copies.

    Args:
        model: of plain numbers.
        stored: the same model as it will be stored.
        decoder: the VAE that decodes.
        config: of the model.
    """
    sources = {name: (stored, name) for name in stored.tensors}
    vae, prefix = decoder.weights, decoder.prefix
    if vae is not model:
        check_vae(vae, prefix, config.vae, "VAE of this model")
        own = {name: sources.pop(name) for name in model.below(VAE)}
        if not model.below(AUDIO_VAE) and config.mel is None:  # audio prompts keep the model's own
            sources |= {AUDIO_VAE + n.removeprefix(VAE): source for n, source in own.items()}
        for name in vae.below(prefix):
            sources[VAE + name.removeprefix(prefix)] = (vae, name)
    if not any(name.startswith(AUDIO_VAE) for name in sources):
        return sources, "one"
    prompts = AUDIO_VAE if model.below(AUDIO_VAE) else VAE
    if differing(vae, prefix, model, prompts):
        return sources, "two that differ, both kept"
    return {n: s for n, s in sources.items() if not n.startswith(AUDIO_VAE)}, "two equal, one kept"


def stored_as(name: str, stored: Stored, dtype: torch.dtype | None) -> Stored:
    """A tensor as it will be stored."""
    if stored.packed:
        return stored
    if dtype is None or not stored.dtype.is_floating_point:
        known = stored.dtype in NAMES or not stored.dtype.is_floating_point
        return Stored(stored.shape, stored.dtype if known else torch.float32)
    if not stored.is_matrix or name.endswith(KEPT_FLOAT32):
        dtype = torch.float32
    elif dtype == FLOAT8 and not name.startswith(f"{DIT}transformer.layers."):
        dtype = torch.float16
    return Stored(stored.shape, dtype)


def cast(tensor: Tensor, dtype: torch.dtype, name: str) -> Tensor:
    """A tensor in another dtype. Raises WeightsError where a number does not fit into it."""
    if tensor.dtype == dtype or not dtype.is_floating_point:
        return tensor
    limit = torch.finfo(dtype).max
    if torch.finfo(tensor.dtype).max > limit and tensor.numel():
        low, high = (end.item() for end in tensor.float().aminmax())
        if max(-low, high) > limit:
            raise WeightsError(
                f"{name} has values up to {max(-low, high):.3g}, but the maximum of "
                f"{str(dtype)[6:]} is {limit:.3g}: convert to bfloat16 or float32."
            )
    return tensor.to(dtype)
