"""Whether a file can be a weights file, by its name and its first bytes.

Nothing here imports PyTorch: the command line refuses a wrong file without waiting for it.
"""

import json
from pathlib import Path
from zipfile import is_zipfile

from ..errors import WeightsError, is_out_of_memory
from .auxiliary_files import fetch_again

SAFETENSORS, PICKLES = (".safetensors", ".sft"), (".ckpt", ".pt", ".pth", ".bin")
LARGEST_HEADER = 32 << 20  # bytes; safetensors allows 100 MB, of which Python would make gigabytes
# suffixes of hubs and browsers for an unfinished download
UNFINISHED = (".incomplete", ".part", ".partial", ".crdownload", ".download", ".aria2", ".tmp")


def check_weights_file(path: str | Path) -> str:
    """Check that a file is there and that its name and its first bytes are of a weights file.

    Returns:
        Its suffix in lower case, one of `SAFETENSORS` or `PICKLES`.

    Raises:
        WeightsError: it is missing, cannot be read, or is something else.
    """
    path = Path(path)
    try:
        if path.exists() and not path.is_file():
            what = "a folder" if path.is_dir() else "not a regular file"
            raise WeightsError(f"{path} is {what}: choose a weights file.")
        with path.open("rb") as file:
            head = file.read(4)
    except FileNotFoundError:
        raise WeightsError(
            f"There is no weights file {path}: check the name and the folder."
        ) from None
    except (OSError, ValueError) as error:
        raise WeightsError(f"{str(path)[:200]} cannot be read: {error}.") from error
    suffix = path.suffix.lower()
    if head == b"GGUF" or suffix == ".gguf":
        raise WeightsError(
            f"{path.name} is a GGUF file, which this pack cannot read: use a .safetensors file or "
            f"the released .ckpt. {fetch_again(path)} downloads that into models/audiox. Weights "
            "as float8 with scales ([[`convert --dtype float8_scaled`|weight_dtype float8_scaled "
            "in the loader]]) are as small as those of a Q8 GGUF."
        )
    if suffix in UNFINISHED:
        raise unreadable(path, f"its name ends in {suffix}, like a download in progress")
    if suffix not in SAFETENSORS + PICKLES:
        known = ", ".join((*SAFETENSORS, *PICKLES))
        raise WeightsError(f"{path.name} is not a supported weights file: expected one of {known}.")
    return suffix


def check_whole(path: str | Path) -> None:
    """Check that a weights file is not cut off, as far as its header or its archive tells.

    Raises:
        WeightsError: as `check_weights_file`, or its end is missing.
    """
    path = Path(path)
    if check_weights_file(path) in SAFETENSORS:
        cut = not _is_whole_safetensors(path)
    else:
        with path.open("rb") as file:
            cut = file.read(4) == b"PK\x03\x04" and not is_zipfile(path)
    if cut:
        raise unreadable(path, "its end is missing")


def _is_whole_safetensors(path: Path) -> bool:
    """Whether a file is as long as its header says; True if the header cannot be read."""
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if length > size - 8:
            return False
        if length > LARGEST_HEADER:
            return True
        try:
            header = json.loads(file.read(length))
            ends = [entry["data_offsets"][1] for n, entry in header.items() if n != "__metadata__"]
            return max(ends, default=0) <= size - 8 - length
        except (ValueError, TypeError, AttributeError, LookupError, RecursionError):
            return True


def unreadable(path: Path, error: object) -> WeightsError:
    """The error for a weights file that cannot be read.

    Args:
        path: of the file.
        error: what a library raised, or the reason in words.
    """
    size = path.stat().st_size if path.is_file() else 0
    if isinstance(error, Exception) and is_out_of_memory(error):
        return WeightsError(
            f"There is not enough memory to read {path.name} ({size / 1e9:.2f} GB): close other "
            "programs, or convert the file to a smaller data type on another computer "
            "(`python -m audiox_core convert --dtype float16`)."
        )
    return WeightsError(
        f"{path.name} is damaged or incomplete ({size:,} bytes; {str(error)[:120]}): download it "
        f"again into {path.absolute().parent}. {fetch_again(path)} resumes the download."
    )
