"""What a copy keeps of a file: tags, options, chapters, names of codecs."""

import av
import pytest

from audiox_core.errors import MediaError
from audiox_core.media.files import open_media
from audiox_core.media.streams import (
    check_picture,
    codec_name,
    is_mp4_like,
    kept_metadata,
    muxer_options,
)


@pytest.mark.parametrize(
    ("suffix", "like"), [(".mp4", True), (".mov", True), (".mkv", False), (".webm", False)]
)
def test_mp4_and_mov_are_of_one_kind(suffix, like):
    assert is_mp4_like(suffix) is like


def test_statistics_and_the_writers_own_tags_are_not_kept():
    tags = {"title": "Rain", "ENCODER": "x", "BPS-eng": "1", "comment": "kept"}
    assert kept_metadata(tags) == {"title": "Rain", "comment": "kept"}


def test_mp4_gets_its_index_in_front_and_free_tags_where_there_are_any():
    assert muxer_options(".mkv", {"mood": "wet"}) == {}
    assert muxer_options(".mp4", {"title": "Rain"}) == {"movflags": "+faststart"}
    assert muxer_options(".mp4", {"mood": "wet"}) == {"movflags": "+faststart+use_metadata_tags"}


def test_codecs_have_the_names_of_ffmpeg(clip, noise):
    with open_media(clip(sound=noise(0.5))) as container:
        picture, sound = container.streams.video[0], container.streams.audio[0]
        assert codec_name(picture) == av.Codec(picture.codec_context.name, "r").canonical_name
        assert codec_name(sound) == "aac"


def test_a_picture_that_a_container_cannot_hold_is_refused_with_better_ones(clip):
    path = clip()
    with open_media(path) as container:
        picture = container.streams.video[0]
        check_picture(picture, path, ".mp4")
        with pytest.raises(MediaError, match=r"webm files cannot store the .* Choose an output"):
            check_picture(picture, path, ".webm")
