"""The suffixes of the files that can be written."""

import av

from audiox_core.media.formats import AUDIO_SUFFIXES, FORMATS, VIDEO_SUFFIXES


def test_ffmpeg_can_write_every_container():
    assert set(FORMATS.values()) <= av.formats_available
    assert not set(AUDIO_SUFFIXES) & set(VIDEO_SUFFIXES)
