"""The suffixes of the files that can be written."""

import av
import pytest

from audiox_core.media.formats import (
    AAC,
    AUDIO_FORMATS,
    AUDIO_SUFFIXES,
    FORMATS,
    OPUS,
    VIDEO_SUFFIXES,
)


def test_ffmpeg_can_write_every_container():
    containers = {*FORMATS.values(), *(container for container, _ in AUDIO_FORMATS.values())}
    assert containers <= av.formats_available
    assert not set(AUDIO_SUFFIXES) & set(VIDEO_SUFFIXES)


@pytest.mark.parametrize("suffix", AUDIO_SUFFIXES)
def test_every_encoder_takes_the_numbers_and_the_rates_that_are_listed(suffix):
    codec = AUDIO_FORMATS[suffix][1]
    encoder = av.codec.Codec(codec.encoder, "w")
    assert codec.sample_format in {kind.name for kind in encoder.audio_formats}
    assert set(codec.rates) <= set(encoder.audio_rates or codec.rates)


def test_a_rate_that_a_codec_cannot_store_becomes_48_khz():
    assert (AAC.rate(44_100), AAC.rate(96_000), OPUS.rate(44_100)) == (44_100, 48_000, 48_000)
