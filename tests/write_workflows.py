"""`python -m tests.write_workflows`: write the workflows, their thumbnails and the help pages.

Each graph is described here as columns of nodes. ComfyUI's front end creates, connects and
serializes them, so the files always match the current schema. Needs a ComfyUI and Chromium.
"""

import json
import tempfile
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from .help_pages import WORKFLOWS, write_help_pages
from .host import Server, browser
from .nodes.test_contracts import SAVED, reduced

INPUTS = {"video": "clip.mp4", "image": "picture.png", "audio": "music.flac"}

LOAD = ("load", "AudioXLoadCheckpoint", {})
EMBEDDED = (
    "'embedded' is a small demo model. It knows twelve synthetic sounds, such as rain, a bell or "
    "an engine, and no real video. For your own clips, put a released model into models/audiox "
    "and select it in the loader."
)
# where `fetch` puts it
TURBO = "audiox-turbo/audiox_turbo.ckpt"
LOAD_TURBO = ("load", "AudioXLoadCheckpoint", {"file": TURBO})
GET_TURBO = (
    "AudioX-Turbo needs 4 steps and no guidance: AudioX Sampler uses both unless you set others."
    "\n\nTo download it, open a terminal in the folder of this pack and run:\n\n"
    "python -m audiox_core fetch audiox-turbo t5-base --dir ../../models\n\n"
    "Then press R in ComfyUI. The weights are licensed for non-commercial use (CC-BY-NC-4.0)."
)


def _sample(**settings: Any) -> tuple:
    return ("sampler", "AudioXSampler", {
        "model": "load.0", "positive": "mask.0", "negative": "mask.1", "latent_image": "latent.0",
        "seed": 7, "control_after_generate": "fixed", **settings,
    })  # fmt: skip


DECODE = ("decode", "AudioXDecode", {"vae": "load.2", "latent": "sampler.0"})


def _text(prompt: str, task: str = "none") -> tuple:
    return ("text", "AudioXEncodeText", {"conditioners": "load.1", "text": prompt, "task": task})


def _mask(**features: str) -> tuple:
    return (
        "mask", "AudioXMaskedConditioning", {"conditioners": "load.1", "text": "text.0", **features}
    )  # fmt: skip


def _latent(seconds: float | str) -> tuple:
    return ("latent", "AudioXEmptyLatent", {"seconds": seconds})


def _save(audio: str, name: str, *, muted: bool = False) -> tuple:
    prefix = f"audio/{name}"
    return ("save", "SaveAudio", {"audio": audio, "filename_prefix": prefix, "muted": muted})


def _note(text: str) -> tuple:
    return ("note", "Note", {"text": text})


# each graph: (title of a column, its nodes), from left to right
GRAPHS = {
    "text_to_audio": [
        ("1 Model", [LOAD, _note(
            f"Describe the sound in AudioX Encode Text, then press Run.\n\n{EMBEDDED}"
        )]),
        ("2 Prompt", [_text("a church bell tolls slowly"), _mask()]),
        ("3 Sampling", [_latent(10.0), _sample()]),
        ("4 Output", [DECODE, _save("decode.0", "AudioX")]),
    ],
    "timeline": [
        ("1 Model", [LOAD, _note(
            "Write one prompt a line into AudioX Prompt Timeline, with its seconds in front. A "
            "line without seconds applies everywhere else. For a video, connect AudioX Encode "
            "Video to video of AudioX Masked Conditioning. To save the sound, select Save Audio "
            f"and press Ctrl+M.\n\n{EMBEDDED}"
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
        ("4 Output", [DECODE, _save("decode.0", "AudioX", muted=True)]),
        ("5 Listen", [("show", "AudioXPreview", {"audio": "decode.0"})]),
    ],
    "video_soundtrack": [
        ("1 Model and video", [
            LOAD,
            ("video", "LoadVideo", {"file": INPUTS["video"]}),
            _note("The audio is as long as the video: AudioX Encode Video passes its seconds to "
                  "AudioX Empty Latent. The picture is copied without re-encoding where that is "
                  "possible.\n\n"
                  f"{EMBEDDED}"),
        ]),
        ("2 Conditioning", [
            ("see", "AudioXEncodeVideo", {"conditioners": "load.1", "video": "video.0"}),
            _text("", "sound effects"),
            _mask(video="see.0"),
        ]),
        ("3 Sampling", [_latent("see.1"), _sample()]),
        ("4 Output", [
            DECODE,
            ("track", "AudioXSoundtrack", {"video": "video.0", "audio": "decode.0"}),
            ("save", "SaveVideo", {"video": "track.0", "filename_prefix": "video/AudioX"}),
        ]),
    ],
    "images_soundtrack": [
        ("1 Model and frames", [
            LOAD,
            ("video", "LoadVideo", {"file": INPUTS["video"]}),
            ("parts", "GetVideoComponents", {"video": "video.0"}),
            _note("To use the output of a video model, connect its IMAGE batch instead of Load "
                  "Video and Get Video Components, and set fps to its frame rate (16 for Wan, 24 "
                  f"or 25 for most others).\n\n{EMBEDDED}"),
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
    "image_to_audio": [
        ("1 Model and image", [
            LOAD, ("image", "LoadImage", {"image": INPUTS["image"]}), _note(EMBEDDED),
        ]),
        ("2 Conditioning", [
            ("see", "AudioXEncodeImage", {"conditioners": "load.1", "image": "image.0"}),
            _text("", "sound effects"),
            _mask(video="see.0"),
        ]),
        ("3 Sampling", [_latent(10.0), _sample()]),
        ("4 Output", [DECODE, _save("decode.0", "AudioX")]),
    ],
    "music_continuation": [
        ("1 Model and music", [
            LOAD,
            ("music", "LoadAudio", {"audio": INPUTS["audio"]}),
            _note("The model continues from the ten seconds before its output: start -10 takes the "
                  "last ten seconds of the music. Audio Concat appends the new audio.\n\n"
                  f"{EMBEDDED}"),
        ]),
        ("2 Conditioning", [
            ("hear", "AudioXEncodeAudio", {
                "conditioners": "load.1", "vae": "load.2", "audio": "music.0", "start": -10.0,
            }),
            _text("the music continues in the same key and tempo"),
            _mask(audio="hear.0"),
        ]),
        ("3 Sampling", [_latent(10.0), _sample()]),
        ("4 Output", [
            DECODE,
            ("join", "AudioConcat", {
                "audio1": "music.0", "audio2": "decode.0", "direction": "after",
            }),
            _save("join.0", "AudioX"),
        ]),
    ],
    "turbo_text_to_audio": [
        ("1 Model", [LOAD_TURBO, _note(GET_TURBO)]),
        ("2 Prompt", [_text("a train passes, its horn echoes"), _mask()]),
        ("3 Sampling", [_latent(10.0), _sample()]),
        ("4 Output", [DECODE, _save("decode.0", "AudioX")]),
    ],
    "turbo_video_soundtrack": [
        ("1 Model and video", [
            LOAD_TURBO, ("video", "LoadVideo", {"file": INPUTS["video"]}), _note(GET_TURBO),
        ]),
        ("2 Conditioning", [
            ("see", "AudioXEncodeVideo", {"conditioners": "load.1", "video": "video.0"}),
            _text("", "sound effects"),
            _mask(video="see.0"),
        ]),
        ("3 Sampling", [_latent("see.1"), _sample()]),
        ("4 Output", [
            DECODE,
            ("track", "AudioXSoundtrack", {"video": "video.0", "audio": "decode.0"}),
            ("save", "SaveVideo", {"video": "track.0", "filename_prefix": "video/AudioX"}),
        ]),
    ],
    "takes": [
        ("1 Model and video", [
            LOAD,
            ("video", "LoadVideo", {"file": INPUTS["video"]}),
            _note("Run once for four takes, then listen to them in AudioX Takes and press the "
                  "number of the best. Run again: only the new choice is computed, because the "
                  "seed is fixed. To save the video, select Save Video and press Ctrl+M.\n\n"
                  f"{EMBEDDED}"),
        ]),
        ("2 Conditioning", [
            ("see", "AudioXEncodeVideo", {"conditioners": "load.1", "video": "video.0"}),
            _text("", "sound effects"),
            _mask(video="see.0"),
        ]),
        ("3 Four takes", [
            ("latent", "AudioXEmptyLatent", {"seconds": "see.1", "batch_size": 4}), _sample(),
            DECODE,
        ]),
        ("4 Choose", [("takes", "AudioXTakes", {"audio": "decode.0", "video": "video.0"})]),
        ("5 Output", [
            ("track", "AudioXSoundtrack", {"video": "video.0", "audio": "takes.0"}),
            ("save", "SaveVideo", {
                "video": "track.0", "filename_prefix": "video/AudioX", "muted": True,
            }),
        ]),
    ],
    "refine_a_take": [
        ("1 Model", [LOAD, _note(
            "Choose a take in AudioX Takes and run again. Latent From Batch takes the latent of "
            "that take, and the second sampler varies it alone: denoise says how much changes. "
            f"Both seeds are fixed.\n\n{EMBEDDED}"
        )]),
        ("2 Prompt", [_text("birds sing"), _mask()]),
        ("3 Four takes", [
            ("latent", "AudioXEmptyLatent", {"seconds": 10.0, "batch_size": 4}), _sample(),
            DECODE,
        ]),
        ("4 Choose", [("takes", "AudioXTakes", {"audio": "decode.0"})]),
        ("5 Refine", [
            ("one", "LatentFromBatch", {"samples": "sampler.0", "batch_index": "takes.1"}),
            ("again", "AudioXSampler", {
                "model": "load.0", "positive": "mask.0", "negative": "mask.1",
                "latent_image": "one.0", "seed": 8, "denoise": 0.5,
                "control_after_generate": "fixed",
            }),
            ("decode2", "AudioXDecode", {"vae": "load.2", "latent": "again.0"}),
            ("show", "AudioXPreview", {"audio": "decode2.0"}),
        ]),
    ],
    "text_against_video": [
        ("1 Model and video", [
            LOAD,
            ("video", "LoadVideo", {"file": INPUTS["video"]}),
            _note("AudioX Guider has a guidance scale for text and one for video. Raise "
                  "text_guidance if the sound follows the picture too much, and video_guidance if "
                  "it misses what happens. AudioX Preview shows how far the sounds are from the "
                  "changes of the picture. To save the video, select Save Video and press Ctrl+M."
                  f"\n\n{EMBEDDED}"),
        ]),
        ("2 Inputs", [
            ("see", "AudioXEncodeVideo", {"conditioners": "load.1", "video": "video.0"}),
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
            ("latent", "AudioXEmptyLatent", {"seconds": "see.1"}),
            ("sampler", "SamplerCustomAdvanced", {
                "noise": "noise.0", "guider": "guider.0", "sampler": "solver.0",
                "sigmas": "sigmas.0", "latent_image": "latent.0",
            }),
        ]),
        ("4 Output", [
            DECODE, ("show", "AudioXPreview", {"audio": "decode.0", "video": "video.0"}),
        ]),
        ("5 Video", [
            ("track", "AudioXSoundtrack", {"video": "video.0", "audio": "decode.0"}),
            ("save", "SaveVideo", {
                "video": "track.0", "filename_prefix": "video/AudioX", "muted": True,
            }),
        ]),
    ],
    "loop": [
        ("1 Model", [LOAD, _note(
            "With loop turned on in AudioX Empty Latent, the end of the sound leads into its "
            "beginning. AudioX Preview plays it twice, so that you can listen to the join. To save "
            "it, select Save Audio and press Ctrl+M.\n\n"
            f"{EMBEDDED}"
        )]),
        ("2 Prompt", [_text("rain on a tin roof"), _mask()]),
        ("3 Sampling", [
            ("latent", "AudioXEmptyLatent", {"seconds": 8.0, "loop": True}), _sample(),
        ]),
        ("4 Loop", [DECODE, _save("decode.0", "AudioX loop", muted=True)]),
        ("5 Listen to the join", [
            ("twice", "AudioConcat", {
                "audio1": "decode.0", "audio2": "decode.0", "direction": "after",
            }),
            ("show", "AudioXPreview", {"audio": "twice.0"}),
        ]),
    ],
    "layers": [
        ("1 Model and video", [
            LOAD,
            ("video", "LoadVideo", {"file": INPUTS["video"]}),
            ("parts", "GetVideoComponents", {"video": "video.0"}),
            ("music", "LoadAudio", {"audio": INPUTS["audio"]}),
            _note("Effects for the picture, an ambience from text, music, and the video's own "
                  "sound, which must have speech: the others are turned down under layer 4, and "
                  "the mix is brought to -16 LUFS. Each layer can be replaced alone. To save the "
                  f"video, select Save Video and press Ctrl+M.\n\n{EMBEDDED}"),
        ]),
        ("2 Effects", [
            ("see", "AudioXEncodeVideo", {"conditioners": "load.1", "video": "video.0"}),
            _text("", "sound effects"),
            _mask(video="see.0"),
            _latent("see.1"), _sample(), DECODE,
        ]),
        ("3 Ambience", [
            ("words", "AudioXEncodeText", {"conditioners": "load.1", "text": "wind blows softly"}),
            ("both", "AudioXMaskedConditioning", {"conditioners": "load.1", "text": "words.0"}),
            ("again", "AudioXSampler", {
                "model": "load.0", "positive": "both.0", "negative": "both.1",
                "latent_image": "latent.0", "seed": 8, "control_after_generate": "fixed",
            }),
            ("decode2", "AudioXDecode", {"vae": "load.2", "latent": "again.0"}),
        ]),
        ("4 Layers", [
            ("one", "AudioXLayer", {"audio": "decode.0", "name": "effects"}),
            ("two", "AudioXLayer", {
                "audio": "decode2.0", "layers": "one.0", "gain_db": -6.0, "fade_in": 1.0,
                "fade_out": 1.0, "name": "ambience",
            }),
            ("three", "AudioXLayer", {
                "audio": "music.0", "layers": "two.0", "gain_db": -12.0, "fade_out": 2.0,
                "name": "music",
            }),
            ("four", "AudioXLayer", {
                "audio": "parts.1", "layers": "three.0", "name": "dialogue",
            }),
        ]),
        ("5 Mix", [
            ("mix", "AudioXMix", {
                "layers": "four.0", "duck_under": 4, "duck_db": 9.0, "seconds": "see.1",
            }),
            ("show", "AudioXPreview", {"audio": "mix.0", "video": "video.0"}),
        ]),
        ("6 Video", [
            ("track", "AudioXSoundtrack", {"video": "video.0", "audio": "mix.0"}),
            ("save", "SaveVideo", {
                "video": "track.0", "filename_prefix": "video/AudioX", "muted": True,
            }),
        ]),
    ],
    "native_ksampler": [
        ("1 Model", [LOAD, _note(
            "Only the model and the conditioning come from AudioX nodes. KSampler, VAE Decode "
            "Audio and the others are ComfyUI's own. The latent of 11 seconds is one window of the "
            "model; Trim Audio Duration cuts the audio to 10 seconds.\n\nThe settings suit the "
            "embedded model. AudioX: 250 steps, cfg 7. AudioX-Turbo: lcm, simple, 4 steps, cfg 1."
        )]),
        ("2 Prompt", [_text("rain on a tin roof"), _mask()]),
        ("3 Sampling", [
            ("latent", "EmptyLatentAudio", {"seconds": 11.0}),
            ("sampler", "KSampler", {
                "model": "load.0", "positive": "mask.0", "negative": "mask.1",
                "latent_image": "latent.0", "seed": 7, "steps": 50, "cfg": 3.0,
                "sampler_name": "dpmpp_3m_sde", "scheduler": "exponential",
            }),
        ]),
        ("4 Output", [
            ("decode", "VAEDecodeAudio", {"samples": "sampler.0", "vae": "load.2"}),
            ("trim", "TrimAudioDuration", {
                "audio": "decode.0", "start_index": 0.0, "duration": 10.0,
            }),
            _save("trim.0", "AudioX"),
        ]),
    ],
}  # fmt: skip

BUILD = """async (columns) => {
  app.graph.clear();
  const made = {}, sizes = {
    Note: [300, 190], AudioXTakes: [480, 860], AudioXPreview: [480, 460],
  };
  const rooms = {LoadVideo: 260, AudioXMix: 190};  // of what they show when they have run
  let x = 40;
  for (const [title, nodes] of columns) {
    let y = 120, width = 0;
    const first = x;
    for (const [name, type, values] of nodes) {
      const node = LiteGraph.createNode(type);
      app.graph.add(node);
      made[name] = node;
      for (const [key, value] of Object.entries(values)) {
        const widget = (node.widgets ?? []).find(w => w.name === key);
        if (widget && !(typeof value === "string" && /^[a-z]+\\d?\\.\\d$/.test(value)))
          widget.value = value;
      }
      if (type === "Note") node.widgets[0].value = values.text;
      if (values.muted) node.mode = 2;
      const least = node.computeSize();
      node.setSize(sizes[type] ?? [Math.max(least[0], 300), least[1]]);
      width = Math.max(width, node.size[0]);
      node.pos = [x, y];
      // room for the line that some show below their widgets when they have run
      const speaks = /AudioX(Load|EncodeV|Soundtrack|S[ac]|Layer|Guider)/.test(type);
      y += node.size[1] + (rooms[type] ?? (speaks ? 105 : 60));
    }
    for (const [name] of nodes) made[name].setSize([width, made[name].size[1]]);
    const group = new LiteGraph.LGraphGroup(title);
    group.pos = [first - 20, 30];
    group.size = [width + 40, y - 30];
    app.graph.add(group);
    x += width + 90;
  }
  for (const [, nodes] of columns) for (const [name, , values] of nodes)
    for (const [key, value] of Object.entries(values)) {
      if (typeof value !== "string" || !/^[a-z]+\\d?\\.\\d$/.test(value)) continue;
      const [from, slot] = value.split(".");
      const at = made[name].inputs.findIndex(i => i.name === key);
      if (at < 0) throw new Error(`${name} has no input ${key}`);
      made[from].connect(Number(slot), made[name], at);
    }
  const bottom = Math.max(...app.graph._groups.map(g => g.pos[1] + g.size[1]));
  for (const g of app.graph._groups) g.size = [g.size[0], bottom - g.pos[1]];
  await new Promise(r => setTimeout(r, 300));
  return app.graph.serialize();
}"""


def _tidy(value: Any) -> Any:
    """Without the fields that the front end leaves empty."""
    if isinstance(value, dict):
        return {k: _tidy(v) for k, v in value.items() if v is not None or k in {"link", "links"}}
    return [_tidy(item) for item in value] if isinstance(value, list) else value


def main() -> None:
    """Write every workflow with its thumbnail, the saved schemas and every help page."""
    WORKFLOWS.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        server = Server(Path(scratch), folder="ComfyUI-AudioX")
        for name in INPUTS.values():  # the front end lists what is there
            (Path(scratch) / "input" / name).touch()
        weights = Path(scratch) / "models" / "audiox" / TURBO
        weights.parent.mkdir(parents=True)
        weights.touch()
        try:
            server.wait()
            object_info = server.get("/object_info")
            ours = {n: reduced(i) for n, i in object_info.items() if n.startswith("AudioX")}
            SAVED.write_text(json.dumps(ours, indent=1) + "\n", encoding="utf-8")
            for name, columns in GRAPHS.items():
                # a page for each: the front end remembers widgets by the number of their node
                with browser(server.url) as front_end:
                    made = _tidy(front_end.page.evaluate(BUILD, columns))
                    made["id"] = str(uuid5(NAMESPACE_URL, f"audiox/{name}"))
                    path = WORKFLOWS / f"{name}.json"
                    path.write_text(json.dumps(made, indent=1) + "\n", encoding="utf-8")
                    front_end.screenshot(path.with_suffix(".jpg"))
            write_help_pages(object_info)
        finally:
            server.stop()


if __name__ == "__main__":
    main()
