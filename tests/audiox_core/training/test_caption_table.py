"""A table with or without a header, with any of the usual delimiters."""

import pytest

from audiox_core.errors import SettingsError
from audiox_core.training.captions import read_table


@pytest.fixture
def table(tmp_path):
    def make(text, encoding="utf-8"):
        path = tmp_path / "captions.csv"
        path.write_bytes(text.encode(encoding))
        rows, broken = read_table(path)
        return [(row.media, row.caption, row.start) for row in rows], broken

    return make


@pytest.mark.parametrize(
    ("text", "start"),
    [
        ("path,caption\na.mp4,rain\n", None),
        ("caption;file\nrain;a.mp4\n", None),
        ("Start_Second,Caption,Video_Path\n3,rain,a.mp4\n", 3.0),
        ("\ufeffpath\tcaption\r\na.mp4\train\r\n", None),
        ("a.mp4,rain", None),
        ("a.mp4,rain,3", 3.0),
        ("a.mp4,3,rain,train", 3.0),  # vggsound.csv
        ("a.mp4,rain,", None),
        ("\n a.mp4 , rain \n\n", None),
    ],
)
def test_the_columns_of_a_table_are_found(table, text, start):
    assert table(text) == ([("a.mp4", "rain", start)], [])


def test_a_quoted_caption_may_hold_anything(table):
    rows, _ = table('path,caption\na.mp4,"rain, then\nthunder; ""loud"""\n')
    assert rows == [("a.mp4", 'rain, then\nthunder; "loud"', None)]


def test_a_bare_second_delimiter_is_part_of_the_caption(table):
    assert table("a.mp4;rain, wind\n")[0] == [("a.mp4", "rain, wind", None)]


@pytest.mark.parametrize(
    ("row", "reason"),
    [("a.mp4,,", "no caption"), (",rain,", "no caption"), ("a.mp4", "no caption"),
     ("a.mp4,rain,soon", "bad start"), ("a.mp4,rain,-1", "bad start"),
     ("a.mp4,rain,nan", "bad start")],
)  # fmt: skip
def test_a_bad_row_is_listed(table, row, reason):
    rows, broken = table(f"path,caption,start\n{row}\nb.mp4,wind,\n")
    assert rows == [("b.mp4", "wind", None)]
    assert [(b.line, b.reason) for b in broken] == [(2, reason)]


@pytest.mark.parametrize(
    ("text", "encoding"),
    [("", "utf-8"), ("only\n", "utf-8"), ("path,start\na,3\n", "utf-8"), ("ä,rain\n", "latin-1"),
     ("a,rain\n", "utf-16"), ('"' + "x" * 200_000, "utf-8")],
)  # fmt: skip
def test_a_file_that_is_not_a_table_is_an_error(table, text, encoding):
    with pytest.raises(SettingsError):
        table(text, encoding)


def test_a_missing_table_is_an_error(tmp_path):
    with pytest.raises(SettingsError, match="No such file"):
        read_table(tmp_path / "none.csv")
