"""The encoding steps: features, what they describe, and what is asked of the host."""

from dataclasses import replace

import pytest
import torch

from audiox_core import (
    Features,
    StartLatent,
    Strengths,
    assemble,
    encode_audio,
    encode_image,
    encode_video,
    sample,
)
from audiox_core.checkpoint.checkpoint_file import Checkpoint
from audiox_core.errors import SettingsError
from audiox_core.media.clip import clip_from_file, clip_from_images
from audiox_core.pipeline.encode import seconds_from
from audiox_core.windows import plan

RATE = 44_100


@pytest.fixture
def clip(seeded):
    """Thirty seconds of noise at 4 frames per second."""
    return clip_from_images(torch.rand(120, 24, 32, 3, generator=seeded), 4.0)


@torch.no_grad()
def test_features_of_a_video_say_which_seconds_they_describe(checkpoint, clip):
    features = encode_video(checkpoint, clip, start=2.0, seconds=25.0)
    assert (features.kind, features.variant) == ("video", checkpoint.variant)
    assert (features.start, features.seconds, features.windows) == (2.0, 25.0, 3)
    assert features.tokens.shape[0] == 3


@torch.no_grad()
def test_an_image_serves_a_sound_of_any_length(checkpoint, seeded):
    features = encode_image(checkpoint, 255 * torch.rand(3, 20, 30, generator=seeded))
    assert (features.windows, features.seconds) == (1, None)


@torch.no_grad()
def test_hidden_seconds_count_from_the_start_of_the_part(checkpoint, clip):
    plain = encode_video(checkpoint, clip, start=4.0, seconds=26.0)
    hidden = encode_video(checkpoint, clip, start=4.0, seconds=26.0, hide=((9.5, 12.0),))
    changed = [not torch.equal(*pair) for pair in zip(plain.tokens, hidden.tokens, strict=True)]
    assert changed == [True, True, False]  # windows of ten seconds begin at 0, 8.96 and 15 s


@torch.no_grad()
def test_the_start_of_a_sound_prompt_may_count_from_its_end(checkpoint, seeded):
    sound = torch.randn(2, 15 * RATE, generator=seeded)
    last = encode_audio(checkpoint, sound, RATE, start=-10.0)
    same = encode_audio(checkpoint, sound[:, 5 * RATE :], RATE)
    assert torch.equal(last.tokens, same.tokens)
    assert (last.start, same.start, last.seconds) == (5.0, 0.0, 10.0)


@torch.no_grad()
def test_a_longer_sound_prompt_is_encoded_window_by_window(checkpoint, seeded):
    sound = torch.randn(2, 25 * RATE, generator=seeded)
    assert encode_audio(checkpoint, sound, RATE).windows == 1
    assert encode_audio(checkpoint, sound, RATE, seconds=25.0).windows == 3


@torch.no_grad()
def test_a_sound_prompt_is_encoded_alike_every_time(checkpoint, seeded):
    sound = torch.randn(2, 3 * RATE, generator=seeded)
    first, second = (encode_audio(checkpoint, sound, RATE).tokens for _ in range(2))
    assert torch.equal(first, second)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"start": 3.0}, "3.00 s long, but the start is 3 s"),
        ({"start": float("nan")}, "start is nan"),
        ({"seconds": 0.0}, "must be 0.1 to 600"),
        ({"seconds": -3.0}, "must be 0.1 to 600"),
        ({"seconds": float("nan")}, "must be 0.1 to 600"),
        ({"hide": ((2.0, 1.0),)}, "2-1 is not valid"),
    ],
)
def test_a_part_without_sound_is_refused(checkpoint, settings, message):
    with pytest.raises(SettingsError, match=message):
        encode_audio(checkpoint, torch.zeros(2, 3 * RATE), RATE, **settings)


def test_the_part_of_a_clip_ends_with_the_clip(clip):
    assert seconds_from(clip, 0.0) == 30
    assert seconds_from(clip, 28.0, 10.0) == 2
    for start in (30.0, -1.0, float("nan")):
        with pytest.raises(SettingsError, match=r"30\.00 s long"):
            seconds_from(clip, start)
    with pytest.raises(SettingsError, match=r"length is 0\.05 s"):
        seconds_from(clip, 29.95)


class RecordingHost(Checkpoint):
    """A checkpoint that notes what a step uses, shows and asks."""

    def use(self, name):
        self.log.append(name)
        return super().use(name)

    def progress(self, done):
        self.log.append(round(done, 2))

    def check_interrupt(self):
        self.log.append("check")

    @property
    def log(self):
        return self.__dict__.setdefault("_log", [])


@pytest.fixture
def host(checkpoint):
    names = ("conditioners", "backbone", "vae", "config", "path")
    return RecordingHost(*(getattr(checkpoint, name) for name in names))


@torch.no_grad()
def test_a_step_reports_progress_and_checks_for_interrupts(host, clip):
    encode_video(host, clip, seconds=25.0)
    shares = [entry for entry in host.log if isinstance(entry, float)]
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    assert host.log.count("video") == 3
    assert host.log[0] == "check"
    assert host.log.count("check") >= 3


@torch.no_grad()
def test_absent_modalities_are_computed_only_where_they_count(host):
    config = host.config
    width, video = config.dit.cond_dim, config.video.tokens
    text = torch.ones(1, config.text_tokens, width)
    features = {
        "video": Features("video", torch.ones(1, video, width), config.variant),
        "audio": Features("audio", torch.ones(1, config.audio_tokens, width), config.variant),
    }
    assemble(host, text=text, **features)
    assert host.log == []
    assemble(host, text=text, strengths=Strengths(text=0.5), **features)
    assert host.log == ["text"]


def test_features_that_do_not_fit_are_refused(checkpoint):
    video = Features("video", torch.zeros(3, 96, 96), checkpoint.variant)
    audio = Features("audio", torch.zeros(2, 215, 96), checkpoint.variant)
    with pytest.raises(SettingsError, match="swap the two"):
        assemble(checkpoint, video=audio)
    with pytest.raises(SettingsError, match="audiox-turbo, but the conditioners are"):
        assemble(checkpoint, video=replace(video, variant="audiox-turbo"))
    with pytest.raises(SettingsError, match="3 windows, but the audio prompt has 2"):
        assemble(checkpoint, video=video, audio=audio)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"text": "rain"}, "text is a str: pass the result of encode_text"),
        ({"video": "a.mp4"}, "video is a str: pass the result of encode_video"),
    ],
)
def test_an_input_that_was_not_encoded_is_refused(checkpoint, given, message):
    with pytest.raises(SettingsError, match=message):
        assemble(checkpoint, **given)


def features(checkpoint, kind, windows, seconds):
    count = {"video": checkpoint.config.video.tokens, "audio": checkpoint.config.audio_tokens}[kind]
    tokens = torch.ones(windows, count, checkpoint.config.dit.cond_dim)
    return Features(kind, tokens, checkpoint.variant, seconds=seconds)


@torch.no_grad()
@pytest.mark.parametrize(
    ("video", "audio", "strengths", "seconds"),
    [
        ((1, 4.0), None, Strengths(), 4.0),
        ((3, 25.0), (1, 10.0), Strengths(), 25.0),
        ((3, 25.0), (3, 25.05), Strengths(), 25.0),
        ((1, None), (3, 25.0), Strengths(), 25.0),  # a still image
        ((1, None), (1, 3.0), Strengths(), None),
        ((1, 4.0), None, Strengths(video=0.0), None),
        (None, None, Strengths(), None),
    ],
)
def test_a_conditioning_knows_the_seconds_of_its_video(
    checkpoint, video, audio, strengths, seconds
):
    given = {"video": video, "audio": audio}
    parts = {
        kind: kind_of and features(checkpoint, kind, *kind_of) for kind, kind_of in given.items()
    }
    assert assemble(checkpoint, strengths=strengths, **parts).seconds == seconds


@torch.no_grad()
@torch.no_grad()
def test_features_of_strength_0_need_not_have_the_length_of_the_sound(checkpoint, seeded):
    video = Features("video", torch.randn(3, 128, 768, generator=seeded), "audiox", seconds=25.0)
    made = assemble(checkpoint, video=video, strengths=Strengths(video=0.0))
    expected = assemble(checkpoint)
    assert (made.windows, made.seconds) == (1, None)
    assert torch.equal(made.positive, expected.positive)


def test_a_video_is_not_repeated_under_a_longer_sound(checkpoint):
    """Ten seconds are one window, which would serve any length if it were a still image."""
    conditioning = assemble(checkpoint, video=features(checkpoint, "video", 1, 10.0))
    frames = plan(checkpoint.config.latent, 30.0).frames
    start = StartLatent(torch.zeros(1, 64, frames))
    with pytest.raises(SettingsError, match=r"made for 10\.00 s, but the latent has .*30\.0. s"):
        sample(checkpoint, conditioning, start)


@torch.no_grad()
def test_a_file_and_its_frames_have_the_same_features(checkpoint, clips):
    import av

    with av.open(str(clips / "bikes.mp4")) as source:
        frames = [torch.from_numpy(f.to_ndarray(format="rgb24")) for f in source.decode(video=0)]
    in_memory = clip_from_images(torch.stack(frames) / 255, 25.0)
    in_file = clip_from_file(clips / "bikes.mp4")
    found, expected = (
        encode_video(checkpoint, c, start=1.0, seconds=3.0) for c in (in_memory, in_file)
    )
    assert torch.equal(found.tokens, expected.tokens)


@torch.no_grad()
def test_a_video_may_be_given_by_its_path(checkpoint, clips):
    path = clips / "bikes.mp4"
    found, expected = (
        encode_video(checkpoint, c, seconds=2.0) for c in (str(path), clip_from_file(path))
    )
    assert torch.equal(found.tokens, expected.tokens)


def test_a_video_of_one_frame_is_told_to_be_a_picture(field):
    clip = clip_from_file(field / "oneframe.mp4")
    with pytest.raises(SettingsError, match=r"is 0\.04 s long, but at least 0\.1 s .* --image"):
        seconds_from(clip, 0.0)
