"""The files of `generate`: what is refused before PyTorch is imported."""

from pathlib import Path

import av
import numpy as np
import pytest

from audiox_core.cli import build_parser
from audiox_core.cli.generate import run_generate
from audiox_core.cli.generate_files import check_files
from audiox_core.errors import AudioXError
from audiox_core.pipeline.model_options import model_options
from audiox_core.pipeline.request import Request


@pytest.fixture
def check(tmp_path, monkeypatch):
    """Check the files of a command line in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def check(*arguments):
        options = build_parser()[0].parse_args(["generate", *arguments])
        inputs = {name: getattr(options, name) for name in ("video", "image", "audio")}
        request = Request(**inputs, init_audio=options.init_audio, start=options.start)
        check_files(options.output, model_options(vars(options)), request)

    return check


@pytest.fixture
def clip(tmp_path):
    """A clip of two seconds, relative to the folder that the command runs in."""
    with av.open(str(tmp_path / "clip.mp4"), "w") as container:
        stream = container.add_stream("mpeg4", rate=5)
        stream.width = stream.height = 32
        for _ in range(10):
            frame = av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8), "rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return "clip.mp4"


def test_files_that_can_be_used_pass_and_nothing_is_written(check, clip, tmp_path):
    header = b"{}"
    (tmp_path / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header)
    before = sorted(tmp_path.iterdir())
    check("--video", clip, "--checkpoint", "model.safetensors", "-o", "a.mp4")
    check("--image", clip, "--lora", "model.safetensors:0.5", "-o", "a.wav")
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--video", "no.mp4"), "There is no file no.mp4"),
        (("--video", "text.mp4"), "text.mp4 is not a readable media file"),
        (("--video", "clip.mp4", "--start", "2"), "clip.mp4 is 2.00 s long, but the start is 2 s"),
        (("--image", "no.png"), "There is no file no.png"),
        (("--audio", "text.mp4"), "text.mp4 is not a readable media file"),
        (("--init-audio", "no.wav"), "There is no file no.wav"),
        (("--checkpoint", "no.ckpt"), "There is no weights file no.ckpt"),
        (("--checkpoint", "text.mp4"), "text.mp4 is not a supported weights file"),
        (("--vae", "no.ckpt"), "There is no weights file no.ckpt"),
        (("--synchformer", "no.pth"), "There is no weights file no.pth"),
        (("--lora", "no.safetensors:0.5"), "There is no weights file no.safetensors"),
        (("--text-encoder", "no"), "There is no file or folder no"),
        (("--config", "no.json"), "There is no file no.json"),
    ],
)
def test_files_that_cannot_be_used_are_refused(check, clip, tmp_path, arguments, message):
    (tmp_path / "text.mp4").write_text("no media at all", encoding="utf-8")
    with pytest.raises(AudioXError) as error:
        check(*arguments, "-o", "a.wav")
    assert message in str(error.value)


@pytest.mark.parametrize("output", ["no/a.wav", "/proc/a.wav", "clip.mp4/a.wav"])
def test_an_output_that_cannot_be_written_is_refused(check, clip, output):
    with pytest.raises(AudioXError, match="cannot be written"):
        check("-o", output)


@pytest.mark.parametrize("option", ["--video", "--audio", "--init-audio"])
def test_an_output_that_is_also_an_input_is_refused(check, clip, tmp_path, option):
    Path("link.mp4").symlink_to(clip)
    for output in (clip, "link.mp4"):
        with pytest.raises(AudioXError, match="is an input and would be overwritten"):
            check(option, clip, "-o", output)


@pytest.mark.parametrize("output", ["a.txt", "a", "a.mp4"])
def test_a_suffix_that_cannot_be_written_is_refused(output):
    options = build_parser()[0].parse_args(["generate", "--prompt", "rain", "-o", output])
    with pytest.raises(AudioXError, match=r"unsupported suffix|pass the video"):
        run_generate(options)
