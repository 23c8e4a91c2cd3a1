"""Which packets a copy has, and which pictures cannot be copied."""

from fractions import Fraction

import pytest

from audiox_core.errors import MediaError
from audiox_core.media.files import open_media
from audiox_core.media.packets import Source, Span, decoded, shown
from audiox_core.media.timeline import picture_stream

REORDERED = {"bf": "3", "g": "50", "x264-params": "scenecut=0:b-adapt=0"}


@pytest.fixture
def packets():
    """The packets of the picture of a file within a span, all read before it is closed."""

    def read(path, start, end, *, exact=False):
        with open_media(path) as container:
            picture = picture_stream(container, path.name)
            span = Span(Fraction(start), Fraction(end), start == 0)
            source = Source(container, picture, path)
            found = source.packets([picture.index], span, run_up=True, exact=exact)
            return [(shown(packet), decoded(packet), packet.is_keyframe) for packet in found]

    return read


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.ts"])
def test_every_packet_has_a_decoding_time_and_they_rise(clip, packets, name):
    found = packets(clip(name, frames=60, options=REORDERED), 0, 60)
    times = [decoding for _, decoding, _ in found]
    assert len(found) == 60
    assert times == sorted(set(times))
    assert all(decoding <= showing for showing, decoding, _ in found)


def test_a_piece_begins_with_the_keyframe_before_it(clip, packets):
    found = packets(clip(frames=60, options={"g": "20"}), Fraction(30, 25), 2)
    assert found[0][2]
    assert found[0][0] == Fraction(20, 25)


def test_a_piece_that_ends_within_reordered_frames_is_refused_where_it_must_be_exact(clip, packets):
    path = clip(frames=60, options=REORDERED)
    shown_frames = [len(packets(path, 0, Fraction(frames, 25))) for frames in range(20, 30)]
    late = [found - frames for frames, found in zip(range(20, 30), shown_frames, strict=True)]
    assert max(late) in (1, 2, 3)
    assert min(late) == 0
    for frames, extra in zip(range(20, 30), late, strict=True):
        if extra:
            with pytest.raises(MediaError, match="cannot be cut there without re-encoding"):
                packets(path, 0, Fraction(frames, 25), exact=True)
        else:
            assert len(packets(path, 0, Fraction(frames, 25), exact=True)) == frames


def test_a_picture_without_timestamps_is_refused(field, packets):
    with pytest.raises(MediaError, match="has no timestamps for its frames"):
        packets(field / "raw.h264", 0, 10)


def test_the_few_times_of_a_program_stream_tell_all_others(field, packets):
    found = sorted(showing for showing, _, _ in packets(field / "mpeg2_b.mpg", 0, 10))
    assert found == [Fraction(54, 100) + Fraction(k, 25) for k in range(50)]


def test_timestamps_that_jump_back_are_refused(clip, packets):
    joined = clip("a.ts", frames=50)
    joined.write_bytes(joined.read_bytes() * 2)
    with pytest.raises(MediaError, match="jump back"):
        packets(joined, 0, 10)
