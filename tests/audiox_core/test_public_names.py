"""What a newcomer sees of the library: names, help, short texts, clear errors."""

import pydoc
import re

import numpy as np
import pytest
import torch

import audiox_core
from audiox_core import (
    AudioXError,
    Clip,
    Features,
    Pipeline,
    Request,
    Sound,
    Soundtrack,
    assemble,
    clip_from_images,
    decode,
    empty_latent,
    encode_audio,
    encode_image,
    encode_text,
    encode_video,
    load_checkpoint,
    open_checkpoint,
    read_audio,
    sample,
)


def test_every_public_name_exists_and_is_explained():
    assert dir(audiox_core) == sorted(audiox_core.__all__)
    for name in audiox_core.__all__:
        assert getattr(audiox_core, name) is not None
    explained = [name for name in audiox_core.__all__ if name != "__version__"]
    assert [name for name in explained if not getattr(audiox_core, name).__doc__] == []


def test_help_shows_the_first_lines_and_every_name():
    text = pydoc.plain(pydoc.render_doc(audiox_core))
    assert 'Request(prompt="city traffic", video="bikes.mp4", seed=7)' in text
    shown = [n for n in audiox_core.__all__ if re.search(rf"\b(class )?{n}\b\(", text)]
    assert set(audiox_core.__all__) - set(shown) == {"__version__"}


def test_nothing_shows_a_wall_of_numbers(checkpoint, clips):
    pipeline = Pipeline(checkpoint)
    wave, frames = torch.zeros(2, 44_100), np.zeros((10, 4, 4, 3), np.uint8)
    text = encode_text(checkpoint, "rain")
    start = empty_latent(checkpoint, 1.0)
    texts = {
        "Checkpoint(audiox-nano, audiox-nano.safetensors, float32 on cpu)": checkpoint,
        "CheckpointFile(audiox-nano, audiox-nano.safetensors)": open_checkpoint(),
        f"Pipeline({checkpoint})": pipeline,
        "Request(prompt='rain', seed=7)": Request(prompt="rain", seed=7),
        "Request(image=<ndarray (4, 4, 3)>)": Request(image=frames[0]),
        "Soundtrack(1.00 s at 44100 Hz)": Soundtrack(wave, 44_100),
        "Soundtrack(1.00 s at 44100 Hz for bikes.mp4)": Soundtrack(
            wave, 44_100, clips / "bikes.mp4"
        ),
        "Clip(The video, 2.00 s)": clip_from_images(frames, 5),
        "StartLatent((1, 64, 236))": start,
        "Conditioning((1, 257, 768), windows=1)": assemble(checkpoint, text=text),
    }
    shown = {repr(value): value for value in texts.values()}
    assert [*texts] == [re.sub(r"\(1, \d+, \d+\), w", "(1, 257, 768), w", t) for t in shown]


def test_features_show_what_they_describe(checkpoint):
    features = encode_audio(checkpoint, np.zeros(8_000, np.float32), 8_000)
    shown = r"Features\(audio, 1\.00 s, \(1, \d+, \d+\) of audiox-nano\)"
    assert re.fullmatch(shown, repr(features))
    still = Features("video", torch.zeros(1, 2, 3), "audiox")
    assert repr(still) == "Features(video, any length, (1, 2, 3) of audiox)"


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda c: Pipeline("model.ckpt"), "The checkpoint is a str: pass load_checkpoint"),
        (lambda c: Pipeline(c).generate("rain"), "The request is a str: pass a Request"),
        (lambda c: Pipeline(c).takes(None), "The request is a NoneType: pass a Request"),
        (lambda c: audiox_core.generate("rain", c), "The request is a str: pass a Request"),
        (lambda c: load_checkpoint(5), "The path has the type int"),
        (lambda c: load_checkpoint("https://a.b/c.ckpt"), "is a URL: download the file first"),
        (lambda c: load_checkpoint(dtype="float16"), "dtype is 'float16': pass a dtype of torch"),
        (lambda c: load_checkpoint(device=5), "Unknown device '5'"),
        (lambda c: encode_text("rain", "rain"), "The first argument is a str: pass a checkpoint"),
        (lambda c: encode_text(c, 5), "The prompt is a int"),
        (lambda c: encode_video(c, 5), "The path has the type int"),
        (lambda c: encode_image(c, "a.png"), "The image must be a tensor of shape"),
        (lambda c: encode_audio(c, "a.wav", 44_100), "pass an array or a tensor of numbers"),
        (lambda c: empty_latent(c, "10"), "The length is '10' s: it must be"),
        (lambda c: decode(c, np.zeros((1, 64, 236))), "The latent is a ndarray: pass a tensor"),
        (lambda c: read_audio(None), "The path has the type NoneType"),
        (lambda c: clip_from_images(np.zeros((4, 4, 4, 3)), "25"), "Images have no frame rate"),
        (lambda c: clip_from_images("a.mp4", 25), "pass an array or a tensor of numbers"),
        (lambda c: Sound("a.wav", 44_100).stereo(), "pass an array or a tensor"),
        (lambda c: Soundtrack(torch.zeros(2, 9), 44_100).save(5), "The path has the type int"),
    ],
)
def test_an_argument_of_another_type_is_one_clear_error(checkpoint, call, says):
    with pytest.raises(AudioXError, match=says) as error:
        call(checkpoint)
    assert len(str(error.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"prompt": 5}, "The prompt is a int: use text"),
        ({"prompt": None}, "The prompt is a NoneType: use text"),
        ({"prompts": "rain"}, "prompts is 'rain': it must be a list of start, end and text"),
        ({"prompts": (("0-4", "rain"),)}, "it must be a list of start, end and text"),
        ({"video": 5}, "video is a int: pass the path of a file, or clip_from_images"),
        (
            {"video": np.zeros((9, 4, 4, 3))},
            "video is a ndarray: .* clip_from_images",
        ),
        ({"image": 5}, "image is a int: pass the path of a file, or an array of height"),
        ({"audio": np.zeros(9)}, r"audio is a ndarray: .* Sound\(waveform, sample_rate\)"),
        ({"init_audio": [0.0]}, r"init_audio is a list: .* Sound\(waveform, sample_rate\)"),
        ({"audio": "https://a.b/c.wav"}, "is a URL: download the file first"),
        ({"seconds": "10"}, "The length is '10' s: it must be"),
        ({"seed": 1.5}, "The seed is 1.5: it must be a whole number"),
        ({"takes": "2"}, "takes is '2': it must be a whole number"),
        ({"steps": 2.5}, "steps is 2.5: it must be a whole number"),
        ({"cfg": "7"}, "cfg is '7'"),
        ({"text_strength": None}, "text_strength is None"),
        ({"hide": [(0, 1)]}, "hide is not a table"),
        ({"hide": {"video": 5}, "video": "a.mp4"}, "time range"),
        ({"inpaint": 5, "init_audio": "a.wav"}, "time range"),
        ({"inpaint": ((0, "1"),), "init_audio": "a.wav"}, "time range"),
        ({"lufs": "-16"}, "lufs is '-16'"),
        ({"sampler": 5}, "Unknown sampler 5"),
        ({"timing": "fast"}, "timing is 'fast': use 'true' or 'reference'"),
    ],
)
def test_a_field_of_another_type_is_one_clear_error(pipeline, fields, says):
    with pytest.raises(AudioXError, match=says) as error:
        pipeline.generate(Request(**{"prompt": "rain", **fields}))
    assert len(str(error.value).splitlines()) == 1


def test_frames_pixels_and_samples_in_memory_give_what_their_files_give(pipeline, clips, tmp_path):
    """The frames of a file without loss; the picture and the sound as arrays."""
    from audiox_core.media.timeline import PictureReader

    with PictureReader(clips / "bikes.mp4") as reader:
        times = zip(range(50), reader.frames_from(0), strict=False)
        frames = np.stack([timed.frame.to_ndarray(format="rgb24") for _, timed in times])
        clip = clip_from_images(frames, float(reader.rate))
    assert isinstance(clip, Clip)
    quick = {"steps": 1, "seed": 3, "seconds": 1.5, "prompt": "cars"}
    file = pipeline.generate(Request(video=clips / "bikes.mp4", **quick)).waveform
    memory = pipeline.generate(Request(video=clip, **quick))
    assert (memory.waveform - file).abs().max() < 1e-4
    with pytest.raises(AudioXError, match="generated without a video file"):
        memory.save(tmp_path / "a.mp4")
    memory.save(tmp_path / "a.wav")
    known = read_audio(tmp_path / "a.wav")
    as_file = pipeline.generate(Request(audio=tmp_path / "a.wav", **quick)).waveform
    array = (known.numpy() * 32_768).astype(np.int16)
    as_array = pipeline.generate(Request(audio=Sound(array, 44_100), **quick)).waveform
    assert (as_array - as_file).abs().max() < 1e-4
    tensor = torch.from_numpy(frames[0]).movedim(-1, 0)
    by_rows, by_channels = (
        pipeline.generate(Request(image=image, **quick)).waveform for image in (frames[0], tensor)
    )
    assert torch.equal(by_rows, by_channels)


def test_a_soundtrack_can_be_continued_and_read_as_an_array(pipeline):
    first = pipeline.generate(Request(prompt="rain", seconds=1.0, steps=1))
    longer = pipeline.generate(Request(init_audio=first, extend=0.5, steps=1))
    assert longer.to_numpy().shape == (2, 66_150)
    kept = slice(0, 30_000)
    assert np.abs(longer.to_numpy()[:, kept] - first.to_numpy()[:, kept]).max() < 1e-6


def test_a_part_of_a_video_is_copied_with_its_soundtrack(pipeline, clips, tmp_path):
    from audiox_core import clip_from_file
    from audiox_core.media.video import probe_video

    clip = clip_from_file(clips / "bikes.mp4", start=2.0, seconds=3.0)
    made = pipeline.generate(Request(video=clip, start=1.0, steps=1))
    assert (made.start, made.trimmed, made.seconds) == (3.0, True, pytest.approx(2.0))
    made.save(tmp_path / "a.mp4")
    assert probe_video(tmp_path / "a.mp4").seconds == pytest.approx(2.0, abs=0.1)


def test_sampling_without_a_request_starts_from_an_empty_latent(checkpoint):
    conditioning = assemble(checkpoint, text=encode_text(checkpoint, "rain"))
    latent = sample(checkpoint, conditioning, empty_latent(checkpoint, 1.0, takes=2))
    assert decode(checkpoint, latent, seconds=1.0).shape == (2, 2, 44_100)
