"""`python -m tests.help_pages`: write the help pages and `locales/` from the schemas of the nodes.

Needs a ComfyUI. A page says what the node does, lists its inputs with types, defaults and ranges
and its outputs, and ends with a tip. ComfyUI shows it for the "?" of a node: in its own language,
or else the one in `web/docs` itself, which is English.
"""

import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from .host import ROOT, Server
from .locales import (
    ENGLISH,
    OPTIONS_OF_THE_HOST,
    Say,
    inputs_of,
    languages,
    options_of,
    outputs_of,
    speaker,
    write_locales,
)

HELP, WORKFLOWS = ROOT / "web" / "docs", ROOT / "workflows"
TIPS = {
    "AudioXDecode": (
        "Use `loudness` with -14 to -16 LUFS for a clip that you publish, and `keep` if you mix the"
        " audio further. VAE Decode Audio works as well, but it lowers loud audio and returns the"
        " full window."
    ),
    "AudioXEmptyLatent": (
        "Connect `seconds` of AudioX Encode Video, so that the audio is exactly as long as the"
        " video. The conditioning and the latent must have the same length. A `loop` works in every"
        " sampler and with VAE Decode Audio; AudioX Decode gives it the exact length, for example"
        " 8 s for four bars at 120 beats a minute. It cannot follow a video."
    ),
    "AudioXEncodeAudio": (
        "To continue a piece of music, connect `tail` of AudioX Inpaint Latent. Select music that"
        " does not end with a fade-out or silence."
    ),
    "AudioXEncodeImage": (
        "Add a text prompt that names the sound: an image alone does not say what happens in it."
    ),
    "AudioXEncodeText": (
        "Name the source of the sound and how it sounds, for example 'heavy footsteps on gravel,"
        " slow'. Words after the token limit are ignored, and the node says so."
    ),
    "AudioXEncodeVideo": (
        "For a long video, set `start` and `length` to try a part of it first. To keep the model"
        " from reacting to a title card, hide its seconds with `time_mask`."
    ),
    "AudioXExample": (
        "To use your own clip, add Load Video (or Load Image, or Load Audio), drag a link from its"
        " output to each input that this node is connected to, and delete this node. Nothing is"
        " written to ComfyUI's `input` folder."
    ),
    "AudioXGuider": (
        "If the audio follows the video and ignores the prompt, set `text_guidance` higher than"
        " `video_guidance`, for example 6 and 2. To hear what one input does, set its guidance to"
        " 0. Unequal values need one or two more predictions a step than equal ones."
    ),
    "AudioXInpaintLatent": (
        "If the transition is audible, make the regenerated range a little longer, or raise"
        " `feather` up to 2 s. To continue audio, leave `regenerate` empty, set `extend_after`, and"
        " connect `tail` to AudioX Encode Audio."
    ),
    "AudioXLayer": (
        "For a crossfade between two layers, let the second start before the first ends, and give"
        " both a fade of this length. For the sound of a clip itself, connect `audio` of Get Video"
        " Components. Silence is added where a video has no audio, so the numbers of the other"
        " layers stay."
    ),
    "AudioXLoadCheckpoint": (
        "Start with AudioX-Turbo: it needs only 4 steps. To download it, run `python -m audiox_core"
        " fetch audiox-turbo t5-base --dir ../../models` in the folder of this pack. Then press R"
        " in ComfyUI to refresh the file list."
    ),
    "AudioXLoadConditioners": (
        "Use it with AudioX Load Model and AudioX Load VAE if the parts come from different files,"
        " for example after ModelSave."
    ),
    "AudioXLoadModel": (
        "Use it for a transformer that ComfyUI's ModelSave or `python -m audiox_core convert`"
        " wrote. The conditioners and the VAE come from their own loaders."
    ),
    "AudioXLoadVAE": (
        "Use it for a VAE that ComfyUI's VAESave wrote, or to decode with the VAE of another"
        " AudioX checkpoint."
    ),
    "AudioXMix": (
        "To keep dialogue clear, set `duck_under` to the number of its layer. If the target"
        " loudness cannot be reached, the node says so: a few loud peaks are in the way. Turn down"
        " the layer that has them. Change one layer and only the mix is computed again."
    ),
    "AudioXPromptTimeline": (
        "Write one prompt a line: `0-4: rain on a tin roof`, `4-8.5: thunder rolls`. A line without"
        " seconds applies everywhere else. The times are those of the audio, which begins with the"
        " part of the video that is encoded."
    ),
    "AudioXTimeRange": (
        "Use it for conditionings that differ in more than the text, for example in the strength of"
        " the video. Join them with ConditioningCombine. If no prompt applies at some time, the"
        " sampler says at which."
    ),
    "AudioXMaskedConditioning": (
        "If the audio does not follow the prompt, lower `video_strength`, for example to 0.5. If it"
        " does not follow the video, lower `text_strength`."
    ),
    "AudioXSampler": (
        "Leave the settings as they are: each model then gets its own, for example 4 steps without"
        " guidance for AudioX-Turbo. Every value that you set is used, and the node shows all that"
        " were used. For a quick try, set `steps` to a fifth of the model's own (not with"
        " AudioX-Turbo)."
    ),
    "AudioXScheduler": (
        "Connect it with KSamplerSelect, AudioX Guider or CFGGuider, and RandomNoise to"
        " SamplerCustomAdvanced. Use"
        " the sampler that AudioX Sampler shows for your model."
    ),
    "AudioXTakes": (
        "Keep the seed of the sampler fixed. The number beside a player chooses that take, and the"
        " next run computes only what comes after this node. To refine a take, connect `index` to"
        " `batch_index` of LatentFromBatch, and sample its latent with a `denoise` below 1."
    ),
    "AudioXPreview": (
        "A full line in the picture is a cut of the video, a dashed line a peak of its motion, and"
        " a green mark the beginning of a sound. Viewers notice a sound that begins more than about"
        " 45 ms before or 125 ms after what they see (ITU-R BT.1359)."
    ),
    "AudioXSoundtrack": (
        "To keep dialogue, turn on `mix_original`, leave `duck_db` at 0 and set `gain_db` to -6 or"
        " lower."
    ),
}


def help_page(node_id: str, node: Mapping[str, Any], language: str, say: Say) -> str:
    """Markdown of a node's help page.

    Args:
        node_id: the node's id.
        node: its entry in ComfyUI's `/object_info`.
        language: of the page.
        say: translates a text into it.
    """
    lines = [f"# {say(node['display_name'])}", "", say(node["description"])]
    if (HELP / _picture(node_id, language)).is_file():  # the path is relative to `web/docs`
        lines += ["", f"![{say(node['display_name'])}]({_picture(node_id, language)})"]
    columns = [say(word) for word in ("input", "type", "default", "values", "description")]
    lines += ["", f"## {say('Inputs')}", "", *_table(columns)]
    lines += [_input_row(*given, say) for given in inputs_of(node)]
    columns = [say(word) for word in ("output", "type", "description")]
    lines += ["", f"## {say('Outputs')}", "", *_table(columns)]
    for name, kind, tooltip in outputs_of(node):
        lines.append(f"| `{say(name)}` | {say(kind)} | {say(tooltip)} |")
    lines += ["", f"## {say('Tip')}", "", say(TIPS[node_id])]
    if used_in := [f"`{path.name}`" for path in _workflows_with(node_id)]:
        lines += ["", say("Workflows with this node: ") + say(", ").join(used_in)]
    return "\n".join(lines) + "\n"


def _picture(node_id: str, language: str) -> str:
    return f"{node_id}/{language}.webp"


def _table(columns: list[str]) -> list[str]:
    return [f"| {' | '.join(columns)} |", "|" + "---|" * len(columns)]


def _input_row(name: str, kind: Any, settings: dict[str, Any], optional: bool, say: Say) -> str:
    options = settings.get("options") or (kind if isinstance(kind, list) else [])
    words = options_of(name, kind, settings)
    type_name = "COMBO" if isinstance(kind, list) else kind
    default, values = settings.get("default"), ""
    if options and name not in OPTIONS_OF_THE_HOST:
        listed = (f"`{say(option) if option in words else option}`" for option in options)
        values = say(", ").join(listed)
    elif "min" in settings and type_name in {"INT", "FLOAT"}:
        values = f"{_number(settings['min'])} {say('to')} {_number(settings['max'])}"
    if options and default is None:
        default = options[0]
    if optional and default is None:
        values = say("optional")
    shown = _default(say(default) if default in words else default, say)
    return f"| `{say(name)}` | {say(type_name)} | {shown} | {values} | {say(settings['tooltip'])} |"


def _default(value: Any, say: Say) -> str:
    if value is None or value == "":
        return "" if value is None else say("empty")
    if isinstance(value, bool):
        return f"`{say('on' if value else 'off')}`"
    return _code(_number(value))


def _code(text: str) -> str:
    """Text as code in a cell of a table, which has no line breaks."""
    return "<br>".join(f"`{line}`" for line in text.splitlines())


def _number(value: Any) -> str:
    if not isinstance(value, int | float):
        return str(value)
    return "2^64 - 1" if value == 2**64 - 1 else f"{value:.10g}"


def _workflows_with(node_id: str) -> list[Path]:
    graphs = sorted(WORKFLOWS.glob("*.json"))
    return [g for g in graphs if f'"type": "{node_id}"' in g.read_text(encoding="utf-8")]


def help_files(nodes: Mapping[str, Any]) -> Iterator[tuple[Path, str]]:
    """The files of all help pages and their contents."""
    for language in languages():
        say = speaker(language)
        for node_id, node in nodes.items():
            page = help_page(node_id, node, language, say)
            yield HELP / node_id / f"{language}.md", page
            if language == ENGLISH:  # for the languages that have no page
                yield HELP / f"{node_id}.md", page


def write_help_pages(object_info: Mapping[str, Any]) -> None:
    """Write `locales/<language>/`, `web/docs/<node id>/<language>.md` and `<node id>.md`."""
    nodes = {name: node for name, node in object_info.items() if name.startswith("AudioX")}
    write_locales(nodes)
    for path, page in help_files(nodes):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(page, encoding="utf-8")


def main() -> None:
    """Write all texts from the schemas that a ComfyUI without a GPU reports."""
    with (
        tempfile.TemporaryDirectory() as scratch,
        Server(Path(scratch), folder="ComfyUI-AudioX") as server,
    ):
        write_help_pages(server.get("/object_info"))


if __name__ == "__main__":
    main()
