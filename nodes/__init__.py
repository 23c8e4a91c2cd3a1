"""The nodes: schemas and one call each. What they do is in `audiox_core`, how in `bridge`."""

from comfy_api.latest import ComfyExtension

from .audio import AudioXDecode, AudioXSoundtrack
from .bridge.files import register_folder
from .conditioning import AudioXMaskedConditioning
from .encode import AudioXEncodeAudio, AudioXEncodeImage, AudioXEncodeText, AudioXEncodeVideo
from .latent import AudioXEmptyLatent, AudioXInpaintLatent
from .loaders import (
    AudioXLoadCheckpoint,
    AudioXLoadConditioners,
    AudioXLoadModel,
    AudioXLoadVAE,
)
from .sampling import AudioXSampler, AudioXScheduler

NODES = [
    AudioXLoadCheckpoint,
    AudioXLoadModel,
    AudioXLoadConditioners,
    AudioXLoadVAE,
    AudioXEncodeText,
    AudioXEncodeVideo,
    AudioXEncodeImage,
    AudioXEncodeAudio,
    AudioXMaskedConditioning,
    AudioXEmptyLatent,
    AudioXInpaintLatent,
    AudioXScheduler,
    AudioXSampler,
    AudioXDecode,
    AudioXSoundtrack,
]


class AudioXExtension(ComfyExtension):
    """What ComfyUI asks a pack for."""

    async def get_node_list(self) -> list:
        register_folder()  # before the first schema, which lists its files
        return NODES
