"""The figures of an evaluation as a table and as a picture."""

from xml.etree import ElementTree

from audiox_core.lab.evaluation.report import picture, table


def test_figures_are_drawn_and_tabled():
    curve = [{"text": t, "as_said": t, "as_seen": 1 - t} for t in (0.0, 0.5, 1.0)]
    figures = {"video.f1": 0.7, "conflict.curve": curve, "video.offsets": {"-50 ms": 2, "0 ms": 5}}
    figures["conflict.curve_untrained"] = curve
    drawing = ElementTree.fromstring(picture(figures))
    kinds = [element.tag.rpartition("}")[2] for element in drawing.iter()]
    assert (kinds.count("polyline"), kinds.count("rect")) == (4, 3)
    assert "0.700" in table(figures)
