"""The shared workflows and subgraph blueprints, as groups of nodes; `write_workflows` builds them.

A graph is a list of groups, from left to right: a title and its nodes. A node is its name in this
file, its type, its inputs (`name.0` is the first output of a node) and what else it has:
`properties`, or the `room` in pixels that is kept free below it.
"""

from typing import Any

from audiox_core.hub.models import files_of, workflow_models

PREVIEW_ROOM = 330  # for the preview of Load Video, which may take the place of AudioX Example


def _load(model: str = "") -> tuple:
    """The loader with the embedded model, or with a released one and where its files are."""
    files = {part: file.name for part, file in files_of(model).items()} if model else {}
    more = {"properties": {"models": workflow_models(model)}} if model else {}
    return ("load", "AudioXLoadCheckpoint", files, more)


LOAD = _load()
EMBEDDED = (
    "'embedded' is a small demo model. It knows 26 kinds of recorded and rendered sounds, such as "
    "a dog, rain or thunder, simple moving pictures and short tunes, but no real video. For your "
    "own clips, put a released model into models/audiox and select it in the loader."
)
REPLACE_EXAMPLE = (
    "AudioX Example brings {what}. For your own, add {node}, connect its output wherever AudioX "
    "Example is connected, and delete AudioX Example."
)
REPLACE = f"Run it as it is: {REPLACE_EXAMPLE}"
OWN_VIDEO = REPLACE.format(what="a rendered clip", node="Load Video")
OWN_PICTURE = REPLACE.format(what="a rendered picture", node="Load Image")
OWN_MUSIC = REPLACE.format(what="a rendered tune", node="Load Audio")

LOAD_TURBO = _load("audiox-turbo")
GET_TURBO = (
    "AudioX-Turbo needs 4 steps and no guidance: AudioX Sampler uses both unless you set others."
    "\n\nIf ComfyUI lists missing models, it downloads them for you (ComfyUI Desktop) or in your "
    "browser. Move what the browser downloads: the three AudioX files into models/audiox, T5-base "
    "into models/text_encoders, each under the name that the list shows. Or open a terminal in the "
    "folder of this pack and run:\n\n"
    "python -m audiox_core fetch audiox-turbo t5-base --dir ../../models\n\n"
    "Then press R in ComfyUI: the loader has the right files selected. (README.md has the command "
    "for the portable ComfyUI.) The weights are licensed for non-commercial use (CC-BY-NC-4.0)."
)


def _example(which: str) -> tuple:
    return ("clip", "AudioXExample", {"which": which}, {"room": PREVIEW_ROOM})


def _sample(name: str = "sampler", **settings: Any) -> tuple:
    return (name, "AudioXSampler", {
        "model": "load.0", "positive": "mask.0", "negative": "mask.1", "latent_image": "latent.0",
        "seed": 7, "control_after_generate": "fixed", **settings,
    })  # fmt: skip


DECODE = ("decode", "AudioXDecode", {"vae": "load.2", "latent": "sampler.0"})


def _text(prompt: str, task: str = "none", name: str = "text") -> tuple:
    return (name, "AudioXEncodeText", {"conditioners": "load.1", "text": prompt, "task": task})


def _mask(**features: Any) -> tuple:
    return (
        "mask", "AudioXMaskedConditioning", {"conditioners": "load.1", "text": "text.0", **features}
    )  # fmt: skip


def _see(video: str = "clip.0") -> tuple:
    return ("see", "AudioXEncodeVideo", {"conditioners": "load.1", "video": video})


def _latent(seconds: float | str, **more: Any) -> tuple:
    return ("latent", "AudioXEmptyLatent", {"seconds": seconds, **more})


def _listen(audio: str, save_as: str = "audio/AudioX", **more: Any) -> tuple:
    return ("show", "AudioXPreview", {"audio": audio, "save_as": save_as, **more})


def _soundtrack(audio: str = "decode.0", video: str = "clip.0") -> list[tuple]:
    return [
        ("track", "AudioXSoundtrack", {"video": video, "audio": audio}),
        ("save", "SaveVideo", {"video": "track.0", "filename_prefix": "video/AudioX"}),
    ]


def _note(text: str) -> tuple:
    return ("note", "Note", {"text": text})


def _for_a_video(
    load: tuple, about: str, prompt: str = "", task: str = "sound effects", clip: str = "ball"
) -> list:
    """A video, its features and a prompt become a soundtrack."""
    return [
        ("1 Model and video", [load, _note(about), _example(clip)]),
        ("2 Conditioning", [_see(), _text(prompt, task), _mask(video="see.0")]),
        ("3 Sampling", [_latent("see.1"), _sample()]),
        ("4 Output", [DECODE, *_soundtrack()]),
    ]


def _from_text(load: tuple, about: str, prompt: str) -> list:
    return [
        ("1 Model", [load, _note(about)]),
        ("2 Prompt", [_text(prompt), _mask()]),
        ("3 Sampling", [_latent(10.0), _sample()]),
        ("4 Output", [DECODE, _listen("decode.0")]),
    ]


# the models of ComfyUI's own template text_to_video_wan
_WAN = "https://huggingface.co/Comfy-Org/Wan_2.1_ComfyUI_repackaged/resolve/main/split_files/"


def _wan_model(name: str, directory: str) -> dict:
    url = f"{_WAN}{directory}/{name}"
    return {"properties": {"models": [{"name": name, "url": url, "directory": directory}]}}


WAN = {
    "diffusion_models": "wan2.1_t2v_1.3B_fp16.safetensors",
    "text_encoders": "umt5_xxl_fp8_e4m3fn_scaled.safetensors",
    "vae": "wan_2.1_vae.safetensors",
}
_WAN_MODELS = {folder: _wan_model(name, folder) for folder, name in WAN.items()}

GRAPHS: dict[str, list] = {
    "AudioX Sound from Text": _from_text(
        LOAD,
        f"Describe the sound in AudioX Encode Text, then press Run.\n\n{EMBEDDED}",
        "a church bell tolls slowly",
    ),
    "AudioX Soundtrack for a Video": _for_a_video(
        LOAD,
        f"{OWN_VIDEO}\n\nThe audio is as long as the video: AudioX Encode Video passes its seconds "
        "to AudioX Empty Latent. The picture is copied without re-encoding where that is possible."
        f"\n\n{EMBEDDED}",
    ),
    "AudioX Music for a Video": _for_a_video(
        LOAD,
        f"{OWN_VIDEO}\n\nDescribe the music in AudioX Encode Text. video_strength of AudioX Masked "
        "Conditioning says how much the picture decides. To keep the video's own sound, turn on "
        f"mix_original in AudioX Soundtrack.\n\n{EMBEDDED}",
        "a gentle vibraphone melody in C major", "music",
    ),
    "AudioX Soundtrack for Images": [
        ("1 Model and frames", [
            LOAD,
            _note("To use the output of a video model, connect its IMAGE batch instead of AudioX "
                  "Example and Get Video Components, and set fps to its frame rate (16 for Wan, 24 "
                  f"or 25 for most others).\n\n{EMBEDDED}"),
            _example("car"),
            ("parts", "GetVideoComponents", {"video": "clip.0"}),
        ]),
        ("2 Conditioning", [
            ("see", "AudioXEncodeVideo", {
                "conditioners": "load.1", "images": "parts.0", "fps": "parts.2",
            }),
            _text("a car engine revving"),
            _mask(video="see.0"),
        ]),
        ("3 Sampling", [_latent("see.1"), _sample()]),
        ("4 Output", [
            DECODE,
            ("create", "CreateVideo", {"images": "parts.0", "audio": "decode.0", "fps": "parts.2"}),
            ("save", "SaveVideo", {"video": "create.0", "filename_prefix": "video/AudioX"}),
        ]),
    ],
    "AudioX Sound for a Picture": [
        ("1 Model and picture", [LOAD, _note(f"{OWN_PICTURE}\n\n{EMBEDDED}"), _example("rain")]),
        ("2 Conditioning", [
            ("see", "AudioXEncodeImage", {"conditioners": "load.1", "image": "clip.1"}),
            _text("", "sound effects"),
            _mask(video="see.0"),
        ]),
        ("3 Sampling", [_latent(10.0), _sample()]),
        ("4 Output", [DECODE, _listen("decode.0")]),
    ],
    "AudioX Music Continuation": [
        ("1 Model and music", [
            LOAD,
            _note(f"{OWN_MUSIC}\n\nThe model continues from the ten seconds before its output: "
                  "start -10 takes the last ten seconds of the music. Audio Concat appends the new "
                  f"audio.\n\n{EMBEDDED}"),
            _example("music"),
        ]),
        ("2 Conditioning", [
            ("hear", "AudioXEncodeAudio", {
                "conditioners": "load.1", "vae": "load.2", "audio": "clip.2", "start": -10.0,
            }),
            _text("a gentle phrase in B major, played on the vibraphone"),
            _mask(audio="hear.0"),
        ]),
        ("3 Sampling", [_latent(10.0), _sample()]),
        ("4 Output", [
            DECODE,
            ("join", "AudioConcat", {
                "audio1": "clip.2", "audio2": "decode.0", "direction": "after",
            }),
            _listen("join.0"),
        ]),
    ],
    "AudioX Repair a Sound": [
        ("1 Model and sound", [
            LOAD,
            _note("The seconds in regenerate of AudioX Inpaint Latent are generated again, and the "
                  "rest stays as it is: AudioX Decode pastes it back. To make the sound longer, "
                  "leave regenerate empty, set extend_after, and connect tail to AudioX Encode "
                  f"Audio.\n\n{REPLACE.format(what='the sound of rain', node='Load Audio')}"
                  f"\n\n{EMBEDDED}"),
            _example("rain"),
        ]),
        ("2 What to repair", [
            ("latent", "AudioXInpaintLatent", {
                "vae": "load.2", "audio": "clip.2", "regenerate": "1-2.5",
            }),
            _text("heavy rain on a roof"),
            _mask(),
        ]),
        ("3 Sampling", [_sample()]),
        ("4 Output", [DECODE, _listen("decode.0")]),
    ],
    "AudioX Prompt Timeline": [
        ("1 Model", [LOAD, _note(
            "Write one prompt a line into AudioX Prompt Timeline, with its seconds in front. A "
            "line without seconds applies everywhere else. For a video, connect AudioX Encode "
            f"Video to video of AudioX Masked Conditioning.\n\n{EMBEDDED}"
        )]),
        ("2 Prompts", [
            ("text", "AudioXPromptTimeline", {
                "conditioners": "load.1",
                "lines": "0-4: rain on a tin roof\n4-8: a church bell tolls slowly\n8-12: a car "
                         "engine revving",
            }),
            _mask(),
        ]),
        ("3 Sampling", [_latent(12.0), _sample()]),
        ("4 Output", [DECODE, _listen("decode.0")]),
    ],
    "AudioX Takes for a Video": [
        ("1 Model and video", [
            LOAD,
            _note("Run once for four takes, then listen to them in AudioX Takes and press the "
                  "number of the best. Run again: because the seed is fixed, only what follows "
                  f"the choice is computed, and the video is saved.\n\n{OWN_VIDEO}\n\n"
                  f"{EMBEDDED}"),
            _example("car"),
        ]),
        ("2 Conditioning", [_see(), _text("", "sound effects"), _mask(video="see.0")]),
        ("3 Four takes", [_latent("see.1", batch_size=4), _sample(), DECODE]),
        ("4 Choose", [("takes", "AudioXTakes", {"audio": "decode.0", "video": "clip.0"})]),
        ("5 Output", _soundtrack("takes.0")),
    ],
    "AudioX Refine a Take": [
        ("1 Model", [LOAD, _note(
            "Choose a take in AudioX Takes and run again. Latent From Batch takes the latent of "
            "that take, and the second sampler varies it alone: denoise says how much changes. "
            f"Both seeds are fixed.\n\n{EMBEDDED}"
        )]),
        ("2 Prompt", [_text("a bird sings"), _mask()]),
        ("3 Four takes", [_latent(10.0, batch_size=4), _sample(), DECODE]),
        ("4 Choose", [("takes", "AudioXTakes", {"audio": "decode.0"})]),
        ("5 Refine", [
            ("one", "LatentFromBatch", {"samples": "sampler.0", "batch_index": "takes.1"}),
            _sample("again", latent_image="one.0", seed=8, denoise=0.5),
            ("decode2", "AudioXDecode", {"vae": "load.2", "latent": "again.0"}),
            _listen("decode2.0"),
        ]),
    ],
    "AudioX Text against Video": [
        ("1 Model and video", [
            LOAD,
            _note("AudioX Guider has a guidance scale for text and one for video. Raise "
                  "text_guidance if the sound follows the picture too much, and video_guidance if "
                  "it misses what happens. AudioX Preview shows how far the sounds are from the "
                  f"changes of the picture.\n\n{OWN_VIDEO}\n\n{EMBEDDED}"),
            _example("ball"),
        ]),
        ("2 Inputs", [
            _see(),
            _text("rain on a tin roof"),
            ("guider", "AudioXGuider", {
                "model": "load.0", "conditioners": "load.1", "text": "text.0", "video": "see.0",
                "text_guidance": 6.0, "video_guidance": 2.0,
            }),
        ]),
        ("3 Sampling", [
            ("noise", "RandomNoise", {"noise_seed": 7, "control_after_generate": "fixed"}),
            ("solver", "KSamplerSelect", {"sampler_name": "dpmpp_3m_sde"}),
            ("sigmas", "AudioXScheduler", {"model": "load.0"}),
            _latent("see.1"),
            ("sampler", "SamplerCustomAdvanced", {
                "noise": "noise.0", "guider": "guider.0", "sampler": "solver.0",
                "sigmas": "sigmas.0", "latent_image": "latent.0",
            }),
        ]),
        ("4 Output", [DECODE, _listen("decode.0", "", video="clip.0")]),
        ("5 Video", _soundtrack()),
    ],
    "AudioX Seamless Loop": [
        ("1 Model", [LOAD, _note(
            "With loop turned on in AudioX Empty Latent, the end of the sound leads into its "
            "beginning. The first AudioX Preview saves the loop, the second plays it twice, so "
            f"that you can listen to the join.\n\n{EMBEDDED}"
        )]),
        ("2 Prompt", [_text("rain on a tin roof"), _mask()]),
        ("3 Sampling", [_latent(8.0, loop=True), _sample()]),
        ("4 Loop", [DECODE, _listen("decode.0", "audio/AudioX loop")]),
        ("5 Listen to the join", [
            ("twice", "AudioConcat", {
                "audio1": "decode.0", "audio2": "decode.0", "direction": "after",
            }),
            ("join", "AudioXPreview", {"audio": "twice.0"}),
        ]),
    ],
    "AudioX Layers and Mix": [
        ("1 Model, video, music", [
            LOAD,
            _note("Effects for the picture, an ambience from text, music, and the video's own "
                  "sound, which stands for speech here: the others are turned down under layer 4, "
                  "and the mix is brought to -16 LUFS. Each layer can be replaced alone.\n\n"
                  f"{OWN_VIDEO}\n\n{EMBEDDED}"),
            _example("car"),
            ("music", "AudioXExample", {"which": "music"}),
        ]),
        ("2 Effects", [
            _see(),
            _text("", "sound effects"),
            _mask(video="see.0"),
            _latent("see.1"), _sample(), DECODE,
        ]),
        ("3 Ambience", [
            _text("wind blows, quietly", name="words"),
            ("both", "AudioXMaskedConditioning", {"conditioners": "load.1", "text": "words.0"}),
            _sample("again", positive="both.0", negative="both.1", seed=8),
            ("decode2", "AudioXDecode", {"vae": "load.2", "latent": "again.0"}),
        ]),
        ("4 Layers", [
            ("one", "AudioXLayer", {"audio": "decode.0", "name": "effects"}),
            ("two", "AudioXLayer", {
                "audio": "decode2.0", "layers": "one.0", "gain_db": -6.0, "fade_in": 1.0,
                "fade_out": 1.0, "name": "ambience",
            }),
            ("three", "AudioXLayer", {
                "audio": "music.2", "layers": "two.0", "gain_db": -12.0, "fade_out": 2.0,
                "name": "music",
            }),
            ("four", "AudioXLayer", {
                "audio": "clip.2", "layers": "three.0", "name": "dialogue",
            }),
        ]),
        ("5 Mix", [
            ("mix", "AudioXMix", {
                "layers": "four.0", "duck_under": 4, "duck_db": 9.0, "seconds": "see.1",
            }),
            _listen("mix.0", "", video="clip.0"),
        ]),
        ("6 Video", _soundtrack("mix.0")),
    ],
    "AudioX with KSampler": [
        ("1 Model", [LOAD, _note(
            "Only the model, the conditioning and the preview come from AudioX nodes. KSampler, "
            "VAE Decode Audio and the others are ComfyUI's own. The latent of 11 seconds is one "
            "window of the model; Trim Audio Duration cuts the audio to 10 seconds.\n\nThe "
            "settings suit the embedded model. AudioX: 250 steps, cfg 7. AudioX-Turbo: lcm, "
            "simple, 4 steps, cfg 1."
        )]),
        ("2 Prompt", [_text("rain on a tin roof"), _mask()]),
        ("3 Sampling", [
            ("latent", "EmptyLatentAudio", {"seconds": 11.0}),
            ("sampler", "KSampler", {
                "model": "load.0", "positive": "mask.0", "negative": "mask.1",
                "latent_image": "latent.0", "seed": 7, "control_after_generate": "fixed",
                "steps": 50, "cfg": 5.0, "sampler_name": "dpmpp_3m_sde", "scheduler": "exponential",
            }),
        ]),
        ("4 Output", [
            ("decode", "VAEDecodeAudio", {"samples": "sampler.0", "vae": "load.2"}),
            ("trim", "TrimAudioDuration", {
                "audio": "decode.0", "start_index": 0.0, "duration": 10.0,
            }),
            _listen("trim.0"),
        ]),
    ],
    "AudioX Turbo Sound from Text": _from_text(
        LOAD_TURBO, GET_TURBO, "a train passes, its horn echoes"
    ),
    "AudioX Turbo Soundtrack for a Video": _for_a_video(
        LOAD_TURBO,
        f"{GET_TURBO}\n\n{REPLACE_EXAMPLE.format(what='a rendered clip', node='Load Video')}",
        clip="rain",
    ),
    "AudioX Wan Video with Sound": [
        ("1 Wan", [
            ("unet", "UNETLoader", {"unet_name": WAN["diffusion_models"]},
             _WAN_MODELS["diffusion_models"]),
            ("clip", "CLIPLoader", {"clip_name": WAN["text_encoders"], "type": "wan"},
             _WAN_MODELS["text_encoders"]),
            ("wanvae", "VAELoader", {"vae_name": WAN["vae"]}, _WAN_MODELS["vae"]),
            _note("Wan makes a video of 5 seconds, then AudioX makes the sound for it. ComfyUI "
                  "unloads one model to make room for the other, so each may use the whole GPU. "
                  "The frames have no frame rate of their own: Wan 2.1 makes 16 frames a second, "
                  "which is set in AudioX Encode Video and in Create Video.\n\nAny other video "
                  "model works, too: connect its IMAGE output in place of VAE Decode.\n\nThe "
                  "model files of Wan are those of ComfyUI's own template. 'embedded' is a small "
                  "demo model that knows no real video: select AudioX-Turbo in AudioX Load "
                  "Checkpoint for a real soundtrack."),
        ]),
        ("2 Video", [
            ("shift", "ModelSamplingSD3", {"model": "unet.0", "shift": 8.0}),
            ("show", "CLIPTextEncode", {
                "clip": "clip.0", "text": "a rubber ball bounces slowly on a wooden floor",
            }),
            ("avoid", "CLIPTextEncode", {"clip": "clip.0", "text": "blurry, static, subtitles"}),
            ("frames", "EmptyHunyuanLatentVideo", {"width": 832, "height": 480, "length": 81}),
            ("draw", "KSampler", {
                "model": "shift.0", "positive": "show.0", "negative": "avoid.0",
                "latent_image": "frames.0", "seed": 7, "control_after_generate": "fixed",
                "steps": 30, "cfg": 6.0, "sampler_name": "uni_pc", "scheduler": "simple",
            }),
            ("images", "VAEDecode", {"samples": "draw.0", "vae": "wanvae.0"}),
        ]),
        ("3 Sound", [
            LOAD,
            _text("a rubber ball bouncing"),
            ("see", "AudioXEncodeVideo", {
                "conditioners": "load.1", "images": "images.0", "fps": 16.0,
            }),
            _mask(video="see.0"),
            _latent("see.1"), _sample(), DECODE,
        ]),
        ("4 Output", [
            ("create", "CreateVideo", {"images": "images.0", "fps": 16.0}),
            *_soundtrack("decode.0", "create.0"),
        ]),
    ],
}  # fmt: skip


class Blueprint:
    """A subgraph: its nodes, and what of them is seen from outside.

    Args:
        description: for the node library.
        aliases: words under which people search for it.
        groups: as of a graph.
        inputs: name outside -> inputs of the nodes inside, as `name.input`.
        outputs: name outside -> output inside.
    """

    def __init__(
        self,
        description: str,
        aliases: list[str],
        groups: list,
        inputs: dict[str, list[str]],
        outputs: dict[str, str],
    ) -> None:
        self.description, self.aliases, self.groups = description, aliases, groups
        self.inputs, self.outputs = inputs, outputs


CATEGORY = "AudioX"
AVOID = _text("", name="avoid")


def _video_blueprint(description: str, task: str, aliases: list[str]) -> Blueprint:
    return Blueprint(
        description,
        aliases,
        [
            ("Model", [LOAD]),
            ("Conditioning", [
                _see(""), _text("", task), AVOID,
                _mask(video="see.0", negative_text="avoid.0"),
            ]),
            ("Sampling", [_latent("see.1"), _sample()]),
            ("Output", [DECODE, ("track", "AudioXSoundtrack", {"audio": "decode.0"})]),
        ],
        {
            "video": ["see.video", "track.video"],
            "prompt": ["text.text"],
            "negative prompt": ["avoid.text"],
            "seed": ["sampler.seed"],
            "model": ["load.file"],
            "video strength": ["mask.video_strength"],
            "keep original sound": ["track.mix_original"],
        },
        {"video": "track.0", "audio": "decode.0"},
    )  # fmt: skip


BLUEPRINTS = {
    "AudioX Soundtrack this Video": _video_blueprint(
        "Sound effects for a video, in sync with its picture. An optional prompt names the sounds.",
        "sound effects",
        ["sfx", "foley", "sound effects", "dub", "video to audio", "add sound to video",
         "audio for video", "音效", "配音", "视频配音", "视频音轨"],
    ),
    "AudioX Music for this Video": _video_blueprint(
        "Music for a video, as long as the video. The prompt describes the music.",
        "music",
        ["score", "background music", "bgm", "video to music", "video to audio", "audio for video",
         "音乐", "配乐", "背景音乐", "视频配乐"],
    ),
    "AudioX Sound from Text": Blueprint(
        "Sound effects or music from a text prompt, of any length up to ten minutes.",
        ["text to audio", "text to sound", "text to music", "sfx", "sound effects", "music",
         "generate audio", "文本生成音频", "音效", "音乐"],
        [
            ("Model", [LOAD]),
            ("Conditioning", [_text(""), AVOID, _mask(negative_text="avoid.0")]),
            ("Sampling", [_latent(10.0), _sample()]),
            ("Output", [DECODE]),
        ],
        {
            "prompt": ["text.text"],
            "negative prompt": ["avoid.text"],
            "seconds": ["latent.seconds"],
            "seed": ["sampler.seed"],
            "model": ["load.file"],
            "prompt strength": ["mask.text_strength"],
        },
        {"audio": "decode.0"},
    ),
}  # fmt: skip
