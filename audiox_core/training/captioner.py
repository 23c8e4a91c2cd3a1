"""Captions of pictures by any captioner of `transformers`, from a folder or the hub.

Processor, model and `generate` work in all versions of the library, unlike its pipelines.
"""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..errors import AudioXError, SettingsError

QUESTION = "Describe in one short sentence what can be heard in this scene."
NEW_TOKENS = 60
NEEDED = "config.json, the weights, the tokenizer and preprocessor_config.json"


class CaptionerError(AudioXError):
    """A captioner cannot be loaded, or does not caption a picture."""


class Captioner:
    """Turns a picture into a sentence."""

    def __init__(
        self, model: str, *, question: str | None = None, device: torch.device | str = "cpu"
    ) -> None:
        """Load a captioner.

        Args:
            model: a folder, or a name on the hub; code that comes with it is never run.
            question: what to ask one that answers questions; others begin their caption with it.
            device: to compute on.

        Raises:
            CaptionerError: it is not there, cannot be reached, or is no captioner.
        """
        local = _is_local(model)
        try:
            self.processor, self.model = _load(model, local)
        except Exception as error:  # every library below has errors of its own
            raise CaptionerError(_why_not_loaded(model, local, error)) from error
        self.model = self.model.to(device).eval()
        self.name, self.question = model, question

    @torch.inference_mode()
    def __call__(self, picture: Tensor) -> str:
        """A caption of `3 h w` uint8; the same picture gets the same one.

        Raises:
            CaptionerError: the model cannot work on a picture alone.
        """
        from PIL import Image

        image = Image.fromarray(picture.movedim(0, -1).contiguous().numpy())
        try:
            inputs = self._inputs(image).to(self.model.device)
            inputs = {
                k: v.to(self.model.dtype) if v.is_floating_point() else v for k, v in inputs.items()
            }
            made = self.model.generate(**inputs, do_sample=False, max_new_tokens=NEW_TOKENS)[0]
            text = self.processor.tokenizer.decode(_added(made, inputs), skip_special_tokens=True)
        except (ValueError, TypeError, KeyError, RuntimeError, IndexError) as error:
            raise CaptionerError(
                f"{self.name} cannot caption an image ({_short(error)}): choose another "
                "captioner, or pass a question with --ask."
            ) from error
        return " ".join(text.split())

    def _inputs(self, image: Any) -> Any:
        if getattr(self.processor, "chat_template", None):
            question = {"type": "text", "text": self.question or QUESTION}
            content = [{"type": "image", "image": image}, question]
            options = {"tokenize": True, "return_dict": True, "return_tensors": "pt"}
            return self.processor.apply_chat_template(
                [{"role": "user", "content": content}], add_generation_prompt=True, **options
            )
        if self.question is None:
            return self.processor.image_processor(image, return_tensors="pt")
        return self.processor(images=image, text=self.question, return_tensors="pt")


class _Pair:
    """Image processor and tokenizer of a model without a combined processor."""

    def __init__(self, image_processor: Any, tokenizer: Any) -> None:
        self.image_processor, self.tokenizer = image_processor, tokenizer

    def __call__(self, images: Any, text: str, return_tensors: str) -> Any:
        inputs = self.image_processor(images, return_tensors=return_tensors)
        ids = self.tokenizer(text, return_tensors=return_tensors, add_special_tokens=False)
        inputs["decoder_input_ids"] = ids["input_ids"]
        return inputs


def _load(model: str, local: bool) -> tuple[Any, Any]:
    import PIL.Image  # noqa: F401 - raises ImportError here if it is missing
    import transformers

    local = local or not _hub_answers(model)
    where = {"local_files_only": local}
    processor = transformers.AutoProcessor.from_pretrained(model, **where)
    if not hasattr(processor, "image_processor"):
        processor = _Pair(
            transformers.AutoImageProcessor.from_pretrained(model, **where),
            transformers.AutoTokenizer.from_pretrained(model, **where),
        )
    kind = transformers.AutoModelForImageTextToText
    return processor, kind.from_pretrained(model, **where)


def _hub_answers(model: str) -> bool:
    """Whether the hub answers; without it the library would retry each file for a long time."""
    import huggingface_hub as hub

    try:
        hub.get_hf_file_metadata(hub.hf_hub_url(model, "config.json"))
    except hub.errors.HfHubHTTPError:  # an answer, if only that there is no such model
        return True
    except Exception:  # requests', httpx' or the system's, by the library's version
        return False
    return True


def _is_local(model: str) -> bool:
    """Whether the name is a folder. Raises SettingsError for a path without a folder."""
    if Path(model).is_dir():
        return True
    if Path(model).exists() or Path(model).is_absolute() or model.startswith(".") or "\\" in model:
        raise SettingsError(
            f"There is no folder {model}: pass the folder of a captioner with its config.json, "
            "or a name on the hub such as Salesforce/blip-image-captioning-base."
        )
    return False


def _why_not_loaded(model: str, local: bool, error: Exception) -> str:
    what = "is not a folder, and the hub did not provide it"
    todo = "check the name and the connection, or download it and pass its folder"
    if isinstance(error, ImportError):
        what, todo = "needs a package that is not installed", "install it with pip"
    elif local:
        what, todo = "cannot be loaded as a captioner", f"it needs {NEEDED}"
    return f"{model} {what} ({_short(error)}): {todo}."


def _added(made: Tensor, inputs: dict[str, Tensor]) -> Tensor:
    """The tokens after the question, if the model repeats it."""
    asked = inputs.get("input_ids", inputs.get("decoder_input_ids"))
    if asked is None or len(made) <= asked.shape[1]:
        return made
    return made[asked.shape[1] :] if torch.equal(made[: asked.shape[1]], asked[0]) else made


def _short(error: Exception) -> str:
    return (" ".join(str(error).split()) or type(error).__name__)[:160].rstrip(".")
