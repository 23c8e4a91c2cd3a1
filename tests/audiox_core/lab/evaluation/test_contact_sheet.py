"""A soundtrack as a picture."""

import re
from base64 import b64decode
from io import BytesIO
from itertools import pairwise
from xml.etree import ElementTree

import av
import pytest
import torch

from audiox_core.lab.evaluation.contact_sheet import COLUMNS, MARGIN, WIDTH, contact_sheet
from audiox_core.lab.world import scene
from audiox_core.media.sound import Sound

RATE = 44_100
TIMES = [0.5, 2, 4, 6, 8]


@pytest.fixture(scope="module")
def item():
    return scene(5, "ball", 10.0)


@pytest.fixture(scope="module")
def sheet(item):
    events = [event.time for event in item.events]
    return contact_sheet(
        item.frames(TIMES, 32), TIMES, Sound(item.audio(RATE), RATE), events, "ball"
    )


def pictures(sheet):
    found = re.findall(r"data:image/png;base64,([^\"]+)", sheet)
    for data in found:
        with av.open(BytesIO(b64decode(data))) as container:
            yield next(container.decode(video=0)).to_ndarray(format="rgb24")


def test_the_contact_sheet_is_an_svg_with_a_line_at_each_event(sheet, item):
    root = ElementTree.fromstring(sheet)
    lines = [float(e.get("x1")) for e in root.iter() if e.tag.endswith("line")]
    wanted = [MARGIN + (WIDTH - 2 * MARGIN) * event.time / 10 for event in item.events]
    assert lines == pytest.approx(wanted, abs=0.1)


def test_each_frame_is_drawn_unchanged_above_its_time(sheet, item):
    *frames, _ = pictures(sheet)
    for frame, wanted in zip(frames, item.frames(TIMES, 32), strict=True):
        assert (frame == wanted.permute(1, 2, 0).numpy()).all()
    *placed, _ = (e for e in ElementTree.fromstring(sheet).iter() if e.tag.endswith("image"))
    middles = [float(e.get("x")) + float(e.get("width")) / 2 for e in placed]
    assert middles == pytest.approx(
        [MARGIN + (WIDTH - 2 * MARGIN) * t / 10 for t in TIMES], abs=0.1
    )


@pytest.mark.parametrize("times", [[0.5, 2, 4, 6, 8], [1, 1.4, 9], [5], [0.5, 1.5, 2.5, 9.9]])
def test_frames_do_not_overlap_and_stay_within_the_picture(item, times):
    sheet = contact_sheet(item.frames(times, 8), times, Sound(item.audio(RATE), RATE), [], "")
    *placed, _ = (e for e in ElementTree.fromstring(sheet).iter() if e.tag.endswith("image"))
    borders = [(float(e.get("x")), float(e.get("x")) + float(e.get("width"))) for e in placed]
    edges = [MARGIN, *(edge for pair in borders for edge in pair), WIDTH - MARGIN]
    assert all(later > earlier - 0.2 for earlier, later in pairwise(edges))


def test_the_spectrogram_gets_bright_where_the_events_are(sheet, item):
    *_, spectrogram = pictures(sheet)
    light = spectrogram.sum(axis=(0, 2))
    columns = [round(event.time / 10 * COLUMNS) for event in item.events]
    for column in columns:
        before, after = light[column - 6 : column - 2], light[column : column + 4]
        assert after.max() > before.max() + 1_000


def test_silence_is_dark_and_a_title_may_have_any_characters(item):
    sheet = contact_sheet(
        item.frames([0.5], 8), [0.5], Sound(torch.zeros(2, RATE), RATE), [], "a & b <c>"
    )
    assert "a & b <c>" in [element.text for element in ElementTree.fromstring(sheet).iter()]
    *_, spectrogram = pictures(sheet)
    assert spectrogram.max() < 40
