"""The list of nodes. Each node is a schema and one call into `bridge`, which uses `audiox_core`."""

from comfy_api.latest import ComfyExtension

from .audio import AudioXDecode, AudioXSoundtrack
from .bridge.files import register_folder
from .conditioning import AudioXMaskedConditioning, AudioXPromptTimeline, AudioXTimeRange
from .encode import AudioXEncodeAudio, AudioXEncodeImage, AudioXEncodeText, AudioXEncodeVideo
from .latent import AudioXEmptyLatent, AudioXInpaintLatent
from .loaders import (
    AudioXExample,
    AudioXLoadCheckpoint,
    AudioXLoadConditioners,
    AudioXLoadModel,
    AudioXLoadVAE,
)
from .mix import AudioXLayer, AudioXMix
from .preview import AudioXPreview, AudioXTakes
from .sampling import AudioXGuider, AudioXSampler, AudioXScheduler

NODES = [
    AudioXLoadCheckpoint,
    AudioXLoadModel,
    AudioXLoadConditioners,
    AudioXLoadVAE,
    AudioXExample,
    AudioXEncodeText,
    AudioXEncodeVideo,
    AudioXEncodeImage,
    AudioXEncodeAudio,
    AudioXPromptTimeline,
    AudioXTimeRange,
    AudioXMaskedConditioning,
    AudioXEmptyLatent,
    AudioXInpaintLatent,
    AudioXScheduler,
    AudioXSampler,
    AudioXGuider,
    AudioXDecode,
    AudioXTakes,
    AudioXPreview,
    AudioXLayer,
    AudioXMix,
    AudioXSoundtrack,
]


class AudioXExtension(ComfyExtension):
    """The extension object that ComfyUI loads."""

    async def get_node_list(self) -> list:
        register_folder()  # before the first schema, which lists its files
        return NODES
