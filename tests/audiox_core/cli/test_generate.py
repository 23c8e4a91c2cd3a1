"""The command line from outside: exit codes, one line of error, nothing half-written."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from audiox_core.checkpoint.checkpoint_file import EMBEDDED
from audiox_core.media.audio import read_audio
from audiox_core.media.loudness import measure_loudness
from audiox_core.pipeline import render

ROOT = Path(__file__).parents[3]
QUICK = ["--steps", "1", "--seed", "3"]


@pytest.fixture
def generate(run):
    return lambda *arguments: run("generate", *QUICK, *arguments)


def write_clip(path, seconds, fps=25):
    """A silent clip of a moving square."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=fps)
        stream.width = stream.height = 64
        for index in range(round(seconds * fps)):
            picture = np.zeros((64, 64, 3), np.uint8)
            picture[:16, index % 48 : index % 48 + 16] = 255
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
        container.mux(stream.encode())


def packets(path):
    with av.open(str(path)) as container:
        return [bytes(p) for p in container.demux(video=0) if p.size]


def stream_seconds(path, kind):
    with av.open(str(path)) as container:
        stream = getattr(container.streams, kind)[0]
        return float(stream.duration * stream.time_base)


@pytest.mark.parametrize("suffix", [".wav", ".flac"])
def test_sound_is_written_and_the_summary_is_true(generate, tmp_path, suffix):
    code, out, _ = generate(
        "--prompt", "rain", "--seconds", "2.5", "--output", f"a{suffix}", "--json"
    )
    summary = json.loads(out)
    sound = read_audio(tmp_path / f"a{suffix}")
    assert code == 0
    assert sound.shape == (2, 110_250)
    assert summary["seconds"] == 2.5
    assert summary["outputs"] == [f"a{suffix}"]
    assert summary["peaks"] == [pytest.approx(sound.abs().max().item(), abs=2e-3)]


def test_each_take_has_a_file_with_its_number(generate, tmp_path):
    code, out, _ = generate(
        "--prompt", "rain", "--seconds", "1", "--takes", "2", "--output", "a.b.wav"
    )
    assert code == 0
    assert out.startswith("a.b-1.wav, a.b-2.wav: 1.00 s")
    assert {path.name for path in tmp_path.glob("*.wav")} == {"a.b-1.wav", "a.b-2.wav"}
    first, second = (read_audio(tmp_path / f"a.b-{k}.wav") for k in (1, 2))
    assert (first - second).abs().max() > 0.01


def test_the_same_seed_writes_the_same_file(generate, tmp_path):
    for name in ("a.flac", "b.flac"):
        generate("--prompt", "rain", "--seconds", "1", "--output", name)
    assert (tmp_path / "a.flac").read_bytes() == (tmp_path / "b.flac").read_bytes()


@pytest.mark.parametrize("suffix", [".mp3", ".m4a", ".ogg", ".opus"])
def test_compressed_sound_has_the_same_length(generate, tmp_path, suffix):
    given = ("--prompt", "rain", "--seconds", "1.2", "--output", f"a{suffix}")
    assert generate(*given)[0] == 0
    assert abs(read_audio(tmp_path / f"a{suffix}").shape[-1] - 52_920) <= 1


def test_inputs_are_recognized_by_their_content(generate, tmp_path):
    write_clip(tmp_path / "clip.mp4", 2)
    generate("--prompt", "rain", "--seconds", "1", "--output", "prompt.wav")
    (tmp_path / "prompt.wav").rename(tmp_path / "prompt.dat")
    out = ("--output", "out.mp4", "--json")
    code, named, err = generate("--video", "clip.mp4", "--audio", "prompt.dat", *out)
    assert code == 0, err
    first = (tmp_path / "out.mp4").read_bytes()
    code, found, err = generate("clip.mp4", *out, "--force", "prompt.dat")
    assert code == 0, err
    assert json.loads(found)["request"] == json.loads(named)["request"]
    assert (tmp_path / "out.mp4").read_bytes() == first


def test_a_sound_is_what_is_changed_where_an_option_changes_one(generate, tmp_path):
    generate("--prompt", "rain", "--seconds", "2", "--output", "first.wav")
    code, out, err = generate("first.wav", "--extend", "1", "--output", "longer.wav", "--json")
    assert code == 0, err
    assert json.loads(out)["seconds"] == 3
    assert json.loads(out)["request"]["init_audio"] == str(tmp_path / "first.wav")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("clip.mp4", "other.mp4"), "are both the input --video: a run has only one"),
        (("clip.mp4", "--video", "clip.mp4"), "are both the input --video"),
        (("rain on a roof",), "There is no file rain on a roof. If it describes the sound"),
        (("nowhere.mp4",), "There is no file nowhere.mp4"),
        (("https://example.org/a.mp4",), "is a URL: download the file first"),
        (("--video", "https://example.org/a.mp4"), "is a URL: download the file first"),
        (("--lora", "https://example.org/a.safetensors:0.5"), "is a URL"),
        (("--device", "cud"), "Unknown device 'cud'"),
    ],
)
def test_inputs_that_cannot_be_used_are_refused(generate, tmp_path, arguments, says):
    for name in ("clip.mp4", "other.mp4"):
        write_clip(tmp_path / name, 1)
    code, _, err = generate(*arguments, "--output", "out.wav")
    assert (code, len(err)) == (2, 1), err
    assert says in err[0]


def test_the_home_folder_is_understood(generate, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    write_clip(tmp_path / "clip.mp4", 1)
    code, _, err = generate("--video", "~/clip.mp4", "--output", "~/out.wav")
    assert code == 0, err
    assert (tmp_path / "out.wav").is_file()


def test_an_existing_file_is_overwritten_only_with_force(generate, tmp_path):
    given = ("--prompt", "rain", "--seconds", "1", "--output", "a.wav")
    (tmp_path / "a.wav").write_text("mine")
    code, _, err = generate(*given)
    assert code == 2
    assert err == ["error: a.wav already exists: add --force to overwrite it, or choose another "
                   "--output."]  # fmt: skip
    assert (tmp_path / "a.wav").read_text() == "mine"
    assert generate(*given, "--force")[0] == 0
    assert read_audio(tmp_path / "a.wav").shape[-1] == 44_100


def test_a_recorded_run_is_repeated_bit_for_bit(run, tmp_path, monkeypatch):
    """Its seed is random, its paths are relative, and the second run is in another folder."""
    write_clip(tmp_path / "clip.mp4", 2)
    given = ("--prompt", "rain", "--prompt-at", "0-1", "bell", "--hide", "video:0-0.5", "--takes")
    code, out, err = run(
        "generate", "clip.mp4", *given, "2", "--steps", "2", "--json", "-o", "a.mp4"
    )
    assert code == 0, err
    (tmp_path / "run.json").write_text(out, encoding="utf-8")
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path / "other")
    code, again, err = run("generate", "--from-json", "../run.json", "-o", "b.mp4", "--json")
    assert code == 0, err
    for number in (1, 2):
        first, second = tmp_path / f"a-{number}.mp4", tmp_path / "other" / f"b-{number}.mp4"
        assert first.read_bytes() == second.read_bytes()
    first, second = json.loads(out), json.loads(again)
    assert (first["request"], first["model"]) == (second["request"], second["model"])


def test_options_override_a_recorded_run(run, tmp_path):
    given = ("--prompt", "rain", "--seconds", "1", "--steps", "2", "-o", "a.wav", "--json")
    _, out, _ = run("generate", *given)
    (tmp_path / "run.json").write_text(out, encoding="utf-8")
    code, _, err = run("generate", "--from-json", "run.json")
    assert code == 2
    assert "a.wav already exists" in err[0]
    changed = ("--from-json", "run.json", "--seconds", "2", "-o", "b.wav", "--json")
    _, out, _ = run("generate", "--steps", "1", *changed)
    summary = json.loads(out)
    assert (summary["seconds"], summary["steps"], summary["outputs"]) == (2.0, 1, ["b.wav"])
    assert summary["request"]["prompt"] == "rain"


def test_an_input_replaces_that_of_a_recorded_run(run, tmp_path):
    for name in ("first.mp4", "second.mp4"):
        write_clip(tmp_path / name, 1)
    _, out, _ = run("generate", "first.mp4", "--steps", "1", "-o", "a.wav", "--json")
    (tmp_path / "run.json").write_text(out, encoding="utf-8")
    again = ("generate", "--from-json", "run.json", "second.mp4")
    code, out, err = run(*again, "-o", "b.wav", "--json")
    assert code == 0, err
    assert json.loads(out)["request"]["video"] == str(tmp_path / "second.mp4")
    code, _, err = run(*again, "first.mp4", "-o", "c.wav")
    assert (code, "are both the input --video" in err[-1]) == (2, True)


def test_a_quiet_run_prints_the_result_and_warnings_alone(generate):
    given = ("--prompt", "rain", "--seconds", "1", "--output", "a.wav")
    code, out, err = generate(*given, "--quiet")
    assert (code, out[:5]) == (0, "a.wav")
    assert all(line.startswith("WARNING") for line in err)


def test_a_verbose_run_shows_versions_and_where_an_error_comes_from(generate):
    code, _, err = generate("--prompt", "rain", "--steps", "0", "--output", "a.wav", "--verbose")
    assert code == 2
    assert "DEBUG: audiox 0." in err[0]
    assert any("Traceback" in line for line in err)
    assert err[-1].startswith("error: steps is 0")


@pytest.mark.parametrize("seconds", [3, 8, 10])
@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
def test_a_clip_gets_a_soundtrack_of_its_length_and_keeps_its_picture(
    generate, tmp_path, seconds, suffix
):
    write_clip(tmp_path / "clip.mp4", seconds)
    code, _, err = generate("--video", "clip.mp4", "--output", f"out{suffix}")
    assert code == 0, err
    assert packets(tmp_path / "out.mp4" if suffix == ".mp4" else tmp_path / f"out{suffix}") == (
        packets(tmp_path / "clip.mp4")
    )
    sound = read_audio(tmp_path / f"out{suffix}")
    assert sound.shape[-1] / 44_100 == pytest.approx(seconds, abs=1 / 25)
    if suffix != ".mkv":  # keeps no length of its streams
        assert stream_seconds(tmp_path / f"out{suffix}", "audio") == pytest.approx(
            seconds, abs=0.04
        )


def test_a_piece_of_a_long_clip_is_soundtracked(generate, tmp_path):
    write_clip(tmp_path / "long.mp4", 20)
    code, _, err = generate(
        "--video", "long.mp4", "--start", "12", "--seconds", "4", "--output", "out.mp4"
    )
    assert code == 0, err
    assert stream_seconds(tmp_path / "out.mp4", "audio") == pytest.approx(4, abs=0.04)


def test_a_sound_is_varied_and_repaired(generate, tmp_path):
    generate("--prompt", "rain", "--seconds", "2", "--output", "first.wav")
    known = read_audio(tmp_path / "first.wav")
    for index, change in enumerate([("--denoise", "0.3"), ("--init-noise-level", "2")]):
        code, _, err = generate(
            "--prompt", "dog", "--init-audio", "first.wav", *change, "--output", f"{index}.wav"
        )
        assert code == 0, err
        assert read_audio(tmp_path / f"{index}.wav").shape == known.shape
    code, _, err = generate(
        "--prompt", "dog", "--init-audio", "first.wav", "--inpaint", "0.5-1", "--output", "p.wav"
    )
    assert code == 0, err
    repaired = read_audio(tmp_path / "p.wav")
    changed = (repaired - known).abs().amax(dim=0) > 1e-4
    assert not changed[:22_050].any()
    assert not changed[44_100:].any()
    assert changed[23_000:43_000].float().mean() > 0.5


def test_audio_is_continued(generate, tmp_path):
    generate("--prompt", "rain", "--seconds", "2", "--output", "first.wav")
    code, _, err = generate(
        "--init-audio", "first.wav", "--extend", "1.5", "--feather", "0.25", "--output", "e.wav"
    )
    assert code == 0, err
    known, longer = (read_audio(tmp_path / name) for name in ("first.wav", "e.wav"))
    assert longer.shape == (2, 154_350)
    assert (longer[:, :77_175] - known[:, :77_175]).abs().max() < 1e-4
    assert longer[:, 88_200:].abs().max() > 0


def test_the_sound_of_the_video_is_kept_under_the_new_one(generate, tmp_path):
    write_clip(tmp_path / "clip.mp4", 2)
    assert generate("--video", "clip.mp4", "--gain", "-6", "--output", "first.mkv")[0] == 0
    mix = ("--keep-original", "-3", "--duck", "6", "--gain", "-60", "--lufs", "-20")
    code, _, err = generate("--video", "first.mkv", *mix, "--output", "out.mkv")
    assert code == 0, err
    own, mixed = (read_audio(tmp_path / name) for name in ("first.mkv", "out.mkv"))
    assert measure_loudness(mixed, 44_100).lufs == pytest.approx(-20, abs=0.3)  # after AAC
    length = min(own.shape[-1], mixed.shape[-1])
    alike = torch.corrcoef(torch.stack([own[0, :length], mixed[0, :length]]))[0, 1]
    assert alike > 0.9
    code, _, err = generate("--video", "first.mkv", "--keep-original", "--output", "out.wav")
    assert code == 2
    assert "out.wav is an audio file: --keep-original" in err[0]


def test_hidden_seconds_and_strengths_reach_the_model(generate, tmp_path):
    write_clip(tmp_path / "clip.mp4", 2)
    base = ("--video", "clip.mp4", "--prompt", "rain")
    variants = [(), ("--hide", "video:0-1"), ("--video-strength", "0.5"), ("--cfg", "2")]
    for index, extra in enumerate(variants):
        assert generate(*base, *extra, "--output", f"{index}.wav")[0] == 0
    sounds = {(tmp_path / f"{index}.wav").read_bytes() for index in range(len(variants))}
    assert len(sounds) == len(variants)


def text_file(path):
    path.write_text("no media at all", encoding="utf-8")


def half_a_clip(path):
    write_clip(path, 2)
    path.write_bytes(path.read_bytes()[:2000])


def audio_alone(path):
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=44_100)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        frame.sample_rate = 44_100
        container.mux(stream.encode(frame))
        container.mux(stream.encode())


def not_a_number(path):
    header = b"RIFF" + (36 + 8000).to_bytes(4, "little") + b"WAVEfmt " + (16).to_bytes(4, "little")
    header += (3).to_bytes(2, "little") + (1).to_bytes(2, "little")  # float, mono
    header += (8000).to_bytes(4, "little") + (32_000).to_bytes(4, "little")
    header += (4).to_bytes(2, "little") + (32).to_bytes(2, "little")
    data = np.full(2000, np.nan, np.float32).tobytes()
    path.write_bytes(header + b"data" + len(data).to_bytes(4, "little") + data)


def stable_diffusion(path):
    save_file({"model.diffusion_model.input_blocks.0.0.weight": torch.zeros(1)}, path)


def half_the_weights(path):
    path.write_bytes(EMBEDDED.read_bytes()[:1_000_000])


def code_in_a_pickle(path):
    torch.save({"state_dict": {"x": _Bomb()}}, path)


class _Bomb:
    def __reduce__(self):
        return (Path.touch, (Path("it_ran"),))


def missing(path):
    assert not path.exists()


BAD_FILES = [
    ("--video", "clip.mp4", missing, "clip.mp4"),
    ("--video", "clip.mp4", Path.touch, "empty"),
    ("--video", "clip.mp4", text_file, "clip.mp4"),
    ("--video", "clip.mp4", half_a_clip, "clip.mp4"),
    ("--video", "clip.m4a", audio_alone, "no video stream"),
    ("--video", "clip.mp4", Path.mkdir, "folder"),
    ("--image", "a.png", missing, "a.png"),
    ("--image", "a.png", text_file, "a.png"),
    ("--audio", "a.wav", Path.touch, "a.wav"),
    ("--audio", "a.wav", text_file, "a.wav"),
    ("--audio", "a.wav", not_a_number, "a.wav"),
    ("--checkpoint", "m.safetensors", missing, "m.safetensors"),
    ("--checkpoint", "m.safetensors", stable_diffusion, "a Stable Diffusion checkpoint"),
    ("--checkpoint", "m.safetensors", half_the_weights, "damaged"),
    ("--checkpoint", "m.ckpt", code_in_a_pickle, "could run code"),
    ("--checkpoint", "m.gguf", text_file, "m.gguf"),
    ("--text-encoder", "t5.safetensors", stable_diffusion, "T5"),
    ("--vae", "vae.safetensors", stable_diffusion, "no AudioX VAE"),
    ("--config", "config.json", os.mkfifo, "a pipe, device or socket"),
    ("--lora", "lora.safetensors", missing, "lora.safetensors"),
]


@pytest.mark.parametrize("bad", BAD_FILES, ids=lambda bad: f"{bad[2].__name__}{bad[0]}")
def test_an_unreadable_input_is_a_one_line_error_and_writes_no_file(generate, tmp_path, bad):
    option, name, make, message = bad
    make(tmp_path / name)
    before = sorted(tmp_path.iterdir())
    code, out, err = generate("--prompt", "rain", option, name, "--output", "out.wav")
    errors = [line for line in err if not line.startswith(("INFO", "WARNING"))]
    assert (code, out, len(errors)) == (2, "", 1), err
    assert message in errors[0]
    assert "Traceback" not in "".join(err)
    assert sorted(tmp_path.iterdir()) == before
    assert generate("--prompt", "rain", "--output", "out.wav")[0] == 0  # and the next run works


@pytest.mark.parametrize(
    "arguments",
    [
        ("--prompt", "rain", "--seconds", "0"),
        ("--prompt", "rain", "--seconds", "-1"),
        ("--prompt", "rain", "--seconds", "1e12"),
        ("--prompt", "rain", "--steps", "0"),
        ("--prompt", "x" * 10_000),
        ("--prompt", "🌧️"),
        ("--prompt", "rain", "--sampler", "magic"),
        ("--prompt", "rain", "--device", "abacus"),
        ("--prompt", "rain", "--device", "cuda:99"),
        ("--prompt", "rain", "--device", "meta"),
        ("--prompt", "rain \udcff"),
        ("--prompt", "rain", "--two\nlines"),
        ("--prompt", "rain", "--text-strength", "7"),
        ("--prompt", "rain", "--denoise", "0.5"),
        ("--prompt", "rain", "--inpaint", "1-2"),
        ("--prompt", "rain", "--inpaint", "two to three"),
        (),
    ],
)
def test_an_invalid_value_is_a_one_line_error_and_writes_no_file(generate, tmp_path, arguments):
    code, out, err = generate(*arguments, "--output", "out.wav")
    errors = [line for line in err if not line.startswith(("INFO", "WARNING"))]
    assert (code, out, len(errors)) == (2, "", 1), err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "arguments",
    [
        ("--steps", "0"),
        ("--cfg", "nan"),
        ("--sampler", "magic"),
        ("--seconds", "0"),
        ("--denoise", "0.5"),
        ("--text-strength", "7"),
        ("--init-audio", "nowhere.wav"),
        ("--video", "nowhere.mp4"),
        ("--lora", "nowhere.safetensors:0.5"),
        ("--hide", "audio:0-1"),
        ("--prompt", "x" * 10_000),
    ],
)
def test_a_mistyped_option_costs_no_loading_of_a_model(generate, monkeypatch, arguments):
    monkeypatch.setattr(render, "open_checkpoint", lambda *_, **__: pytest.fail("opened"))
    code, _, err = generate("--prompt", "rain", *arguments, "--output", "out.wav")
    assert (code, len(err)) == (2, 1), err


@pytest.mark.parametrize("hide", ["nonsense", "text:0-1", "video:3-1"])
def test_an_invalid_hide_option_names_its_format(generate, hide):
    code, _, err = generate("--prompt", "rain", "--hide", hide, "--output", "out.wav")
    assert (code, len(err)) == (2, 1)
    assert hide.rpartition(":")[2] in err[0]


def test_a_length_beyond_the_video_is_cut_with_a_message(generate, tmp_path):
    write_clip(tmp_path / "clip.mp4", 3)
    code, out, err = generate(
        "--video", "clip.mp4", "--start", "1", "--seconds", "8", "--output", "o.wav", "--json"
    )
    assert code == 0, err
    assert json.loads(out)["seconds"] == pytest.approx(2.0)
    assert any("ends at 3.00 s" in line for line in err)


@pytest.mark.parametrize("number", ["INT", "TERM", "HUP"])
def test_an_interrupted_run_leaves_no_file(tmp_path, number):
    command = [sys.executable, "-m", "audiox_core", "generate", "--prompt", "rain"]
    command += ["--steps", "9999", "--output", str(tmp_path / "a.wav")]
    ours = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's `&` ignores it
    run = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)
    signal.signal(signal.SIGINT, ours)
    while "sampling" not in run.stderr.readline():  # until it samples
        pass
    number = getattr(signal, f"SIG{number}")
    run.send_signal(number)
    _, err = run.communicate(timeout=60)
    assert run.returncode == 128 + number
    assert "Traceback" not in err
    assert not list(tmp_path.iterdir())


def test_low_frame_rates_eight_bit_audio_and_emoji_are_accepted(generate, tmp_path):
    """One frame a second, eight-bit telephone sound, an emoji among words."""
    write_clip(tmp_path / "slow.mp4", 3, fps=1)
    samples = (128 + 100 * np.sin(np.arange(16_000) / 5)).astype(np.uint8)
    header = b"RIFF" + (36 + len(samples)).to_bytes(4, "little") + b"WAVEfmt "
    header += (16).to_bytes(4, "little") + (1).to_bytes(2, "little") * 2
    header += (8000).to_bytes(4, "little") * 2 + (1).to_bytes(2, "little")
    header += (8).to_bytes(2, "little") + b"data" + len(samples).to_bytes(4, "little")
    (tmp_path / "phone.wav").write_bytes(header + samples.tobytes())
    code, _, err = generate(
        "--video", "slow.mp4", "--audio", "phone.wav", "--prompt", "rain 🌧", "--output", "o.mp4"
    )
    assert code == 0, err


def test_prompts_over_time_are_generated(generate, tmp_path):
    code, _, err = generate(
        "--prompt-at", "0-1", "a bell", "--prompt-at", "1-2", "rain", "--seconds", "2",
        "--output", "a.wav",
    )  # fmt: skip
    assert code == 0, err
    assert read_audio(tmp_path / "a.wav").shape == (2, 88_200)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--prompt-at", "4-2", "rain"], "--prompt-at: The time range 4-2 is not valid"),
        (["--prompt-at", "two", "rain"], "'two' is not a time range"),
        (["--prompt-at", "0-2", "rain", "--crossfade", "-1"], "The fade of a time range is -1"),
    ],
)
def test_prompts_at_times_that_no_sound_has_are_refused(generate, tmp_path, arguments, says):
    code, _, err = generate(*arguments, "--output", "a.wav")
    assert code == 2
    assert len(err) == 1
    assert says in err[0]
    assert not (tmp_path / "a.wav").exists()
