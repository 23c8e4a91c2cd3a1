"""A soundtrack as a picture."""

import re
from base64 import b64decode
from io import BytesIO
from xml.etree import ElementTree

import av
import pytest
import torch

from audiox_core.lab.evaluation.contact_sheet import COLUMNS, MARGIN, WIDTH, contact_sheet
from audiox_core.lab.world import scene

RATE = 44_100


@pytest.fixture(scope="module")
def item():
    return scene(5, "ball", 10.0)


@pytest.fixture(scope="module")
def sheet(item):
    times = [event.time for event in item.events]
    return contact_sheet(item.frames([0.5, 2, 4, 6, 8], 32), item.audio(RATE), RATE, times, "ball")


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


def test_frames_are_drawn_side_by_side_unchanged(sheet, item):
    strip, _ = pictures(sheet)
    assert strip.shape == (32, 5 * 32, 3)
    assert (strip[:, 32:64] == item.frames([2], 32)[0].permute(1, 2, 0).numpy()).all()


def test_the_spectrogram_gets_bright_where_the_events_are(sheet, item):
    _, spectrogram = pictures(sheet)
    light = spectrogram.sum(axis=(0, 2))
    columns = [round(event.time / 10 * COLUMNS) for event in item.events]
    for column in columns:
        before, after = light[column - 6 : column - 2], light[column : column + 4]
        assert after.max() > before.max() + 1_000


def test_silence_is_dark_and_a_title_may_have_any_characters(item):
    sheet = contact_sheet(item.frames([1], 8), torch.zeros(2, RATE), RATE, [], "a & b <c>")
    assert "a & b <c>" in [element.text for element in ElementTree.fromstring(sheet).iter()]
    _, spectrogram = pictures(sheet)
    assert spectrogram.max() < 40
