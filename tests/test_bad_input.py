"""Bad input, generated: whatever a file or a number holds, one line says what to do next.

Some damage leaves a file readable; then the run succeeds. It never ends in a traceback, a part of
a file, or an open file handle.
"""

import gc
import shutil
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from audiox_core.checkpoint.checkpoint_file import EMBEDDED
from audiox_core.checkpoint.weight_file import open_weights
from audiox_core.cli import main

QUICK = ["--steps", "1", "--seed", "0", "--seconds", "0.5"]


def write_video(path, codec):
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=10)
        stream.width = stream.height = 64
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        for index in range(20):
            picture = np.full((64, 64, 3), 10 * index, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
        container.mux(stream.encode())


def write_sound(path, codec, sample_format):
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=48_000)
        samples = (8000 * np.sin(np.arange(48_000) / 9)).astype(np.int16)[None]
        frame = av.AudioFrame.from_ndarray(samples, "s16", "mono")
        frame.sample_rate = 48_000
        resampler = av.AudioResampler(sample_format, "mono", 48_000, frame_size=1024)
        for part in (*resampler.resample(frame), *resampler.resample(None)):
            container.mux(stream.encode(part))
        container.mux(stream.encode())


def write_picture(path):
    frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 99, np.uint8), "rgb24")
    frame.save(str(path))


MEDIA = {
    "clip.mp4": ("--video", lambda path: write_video(path, "mpeg4")),
    "clip.mkv": ("--video", lambda path: write_video(path, "mpeg4")),
    "clip.webm": ("--video", lambda path: write_video(path, "libvpx")),
    "clip.mov": ("--video", lambda path: write_video(path, "mjpeg")),
    "sound.wav": ("--audio", lambda path: write_sound(path, "pcm_s16le", "s16")),
    "sound.flac": ("--init-audio", lambda path: write_sound(path, "flac", "s16")),
    "sound.mp3": ("--audio", lambda path: write_sound(path, "libmp3lame", "fltp")),
    "sound.m4a": ("--audio", lambda path: write_sound(path, "aac", "fltp")),
    "picture.png": ("--image", write_picture),
    "picture.jpg": ("--image", write_picture),
}


@pytest.fixture(scope="session")
def good(tmp_path_factory):
    """The files as they should be."""
    folder = tmp_path_factory.mktemp("good")
    for name, (_, write) in MEDIA.items():
        write(folder / name)
    shutil.copy(EMBEDDED, folder / "model.safetensors")
    state = {k: v for k, v in load_file(EMBEDDED).items() if not k.startswith("text_encoder.")}
    torch.save({"state_dict": state}, folder / "model.ckpt")
    return folder


def cut(share):
    return lambda data: data[: int(len(data) * share)]


def scrambled(seed, begin, end):
    """Random bytes in a part of the file."""

    def damage(data):
        first, last = (int(len(data) * share) for share in (begin, end))
        noise = np.random.RandomState(seed).bytes(last - first)
        return data[:first] + noise + data[last:]

    return damage


DAMAGES = {
    "empty": cut(0),
    "1%": cut(0.01),
    "half": cut(0.5),
    "90%": cut(0.9),
    "text": lambda data: b"this is no such file\n" * 50,
    "zeros": lambda data: bytes(len(data)),
    "bad_head": scrambled(0, 0, 0.1),
    "bad_middle": scrambled(1, 0.4, 0.6),
    "bad_tail": scrambled(2, 0.9, 1),
    "doubled": lambda data: data + data,
}
UNREADABLE = {"empty", "text", "zeros"}  # no format survives these


@pytest.fixture
def ends_well(tmp_path, capsys, monkeypatch):
    """Run `generate` and hold its end to the promises; returns the exit code."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        before, handles = sorted(tmp_path.rglob("*")), count_handles()
        try:
            code = main(["generate", *QUICK, *map(str, arguments), "--output", "out.wav"])
        except SystemExit as stop:  # argparse
            code = stop.code
        out, err = capsys.readouterr()
        lines = [li for li in err.splitlines() if "error" in li.lower() and "INFO" not in li]
        left = [path for path in tmp_path.rglob("*") if path not in before]
        assert "Traceback" not in err
        assert code in {0, 2}
        if code == 2:
            errors = [li for li in err.splitlines() if not li.startswith(("INFO", "WARNING"))]
            assert (len(errors), left, out) == (1, [], ""), err
            assert len(errors[0]) > 20
        else:
            assert lines == []
            assert left == [tmp_path / "out.wav"]
        assert count_handles() <= handles
        return code

    return run


@pytest.fixture(scope="module", autouse=True)
def _old_objects_are_not_searched(checkpoint):
    """Looking through all that the imports made, twice a case, took most of the suite's time."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


def count_handles():
    gc.collect()
    folder = Path("/proc/self/fd")
    return len(list(folder.iterdir())) if folder.is_dir() else 0


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("name", MEDIA)
def test_damaged_media_never_crashes(ends_well, good, tmp_path, name, damage):
    (tmp_path / name).write_bytes(DAMAGES[damage]((good / name).read_bytes()))
    code = ends_well("--prompt", "rain", MEDIA[name][0], name)
    if damage in UNREADABLE:
        assert code == 2


@pytest.mark.parametrize("option", ["--video", "--audio", "--image", "--init-audio"])
@pytest.mark.parametrize("name", [*MEDIA, "model.ckpt"])
def test_media_given_to_the_wrong_option_never_crashes(ends_well, good, option, name):
    code = ends_well("--prompt", "rain", option, good / name)
    kind = name.partition(".")[0]
    if kind == "model" or (option in {"--audio", "--init-audio"}) != (kind == "sound"):
        # a video's first frame may serve as a picture
        assert (
            code == (0 if (option, kind) == ("--image", "clip") else 2) or MEDIA[name][0] == option
        )


@pytest.mark.parametrize("damage", [d for d in DAMAGES if d not in {"bad_middle", "bad_tail"}])
@pytest.mark.parametrize("name", ["model.safetensors", "model.ckpt"])
def test_damaged_weights_never_crash(ends_well, good, tmp_path, name, damage):
    (tmp_path / name).write_bytes(DAMAGES[damage]((good / name).read_bytes()))
    assert ends_well("--prompt", "rain", "--checkpoint", name) == 2


@pytest.fixture(scope="session")
def state():
    return load_file(EMBEDDED)


def without(prefix):
    return lambda state: {k: v for k, v in state.items() if not k.startswith(prefix)}


WRONG_STATES = {
    "no_transformer": without("model.model."),
    "no_vae": without("pretransform."),
    "no_decoder": without("pretransform.model.decoder."),
    "no_video": without("conditioner.conditioners.video_prompt."),
    "no_audio": without("conditioner.conditioners.audio_prompt."),
    "no_text": without("text_encoder."),
    "one_tensor": lambda state: dict([next(iter(state.items()))]),
    "transposed": lambda state: {
        k: v.T.contiguous() if v.ndim == 2 else v for k, v in state.items()
    },
    "one_layer_less": without("model.model.transformer.layers.5."),
    "one_layer_more": lambda state: (
        state
        | {
            k.replace("layers.5.", "layers.6."): v.clone()
            for k, v in state.items()
            if "layers.5." in k
        }
    ),
    "other_names": lambda state: {f"x.{k}": v for k, v in state.items()},
    "integers": lambda state: {k: v.to(torch.int32) for k, v in state.items()},
    "not_numbers": lambda state: {k: v * float("nan") for k, v in state.items()},
}


@pytest.mark.parametrize("kind", WRONG_STATES)
def test_wrong_weights_are_refused_in_one_line(ends_well, header, state, kind):
    save_file(WRONG_STATES[kind](state), "m.safetensors", header)
    assert ends_well("--prompt", "rain", "--checkpoint", "m.safetensors") == 2


@pytest.fixture(scope="session")
def header():
    header = open_weights(EMBEDDED).header
    return {name: header[name] for name in ("audiox", "tokenizer")}


@pytest.mark.parametrize("key", ["audiox", "tokenizer"])
@pytest.mark.parametrize("value", ["", "{}", "[1, 2]", "no json", '{"version": "1.0"}'])
def test_wrong_headers_are_refused_in_one_line(ends_well, state, header, key, value):
    save_file(state, "m.safetensors", header | {key: value})
    assert ends_well("--prompt", "rain", "--checkpoint", "m.safetensors") == 2


NUMBERS = {
    "--seconds": ["0", "-1", "nan", "inf", "1e30", "ten", "0.01"],
    "--start": ["-1", "nan", "inf", "3", "x"],
    "--steps": ["0", "-5", "1000000000", "1.5", "nan"],
    "--cfg": ["nan", "inf", "-1", "1e30", "much"],
    "--cfg-rescale": ["-0.1", "1.1", "nan", "x"],
    "--seed": ["-1", "99999999999999999999", "1.5", "x"],
    "--text-strength": ["-0.1", "1.1", "nan", "x"],
    "--video-strength": ["-0.1", "1.1", "nan", "x"],
    "--audio-strength": ["-0.1", "1.1", "nan", "x"],
    "--denoise": ["0", "-1", "2", "nan", "0.5"],
    "--init-noise-level": ["0", "nan", "1", "x"],
    "--hide": ["video:0-2", "0-2", "video:nan-1", "video:2-1", "::", "video:-1-2"],
    "--extend": ["-1", "0.5", "nan", "x"],
    "--feather": ["-1", "nan", "1000", "x"],
    "--gain": ["nan", "1000", "loud"],
    "--keep-original": ["0", "nan", "x"],
    "--duck": ["3", "-1", "nan"],
    "--lufs": ["1", "-100", "nan", "x"],
    "--inpaint": ["0-1", "1-0", "x", "1"],
    "--sampler": ["", "dpmpp-3m-sde", "EULER"],
    "--device": ["", "tpu", "cuda:x"],
    "--dtype": ["", "float64", "int8"],
}


@pytest.mark.parametrize(("option", "value"), [(o, v) for o, vs in NUMBERS.items() for v in vs])
def test_wrong_values_are_refused_in_one_line(ends_well, option, value):
    assert ends_well("--prompt", "rain", f"{option}={value}") == 2


@pytest.mark.parametrize("damage", ["empty", "half", "text", "zeros"])
@pytest.mark.parametrize("name", ["model.safetensors", "model.ckpt"])
@pytest.mark.parametrize(
    "command", [("inspect",), ("inspect", "--deep"), ("convert", "-o", "o.safetensors")]
)
def test_damaged_weights_are_neither_inspected_nor_converted(
    good, tmp_path, capsys, monkeypatch, command, name, damage
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).write_bytes(DAMAGES[damage]((good / name).read_bytes()))
    handles = count_handles()
    assert main([command[0], name, *command[1:]]) == 2
    out, err = capsys.readouterr()
    (error,) = [line for line in err.splitlines() if not line.startswith("INFO: ")]
    assert (out, name in error) == ("", True)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert count_handles() <= handles
