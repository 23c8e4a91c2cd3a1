"""A table with or without a header, with any of the usual delimiters."""

import os
from pathlib import Path

import pytest

from audiox_core.errors import SettingsError
from audiox_core.training.captions import read_table


@pytest.fixture
def table(tmp_path):
    def make(text, encoding="utf-8"):
        path = tmp_path / "captions.csv"
        path.write_bytes(text.encode(encoding))
        found = read_table(path)
        rows = [(row.path or row.id, row.caption, row.start) for row in found.items]
        return rows, [*found.invalid]

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
    [("a.mp4,,", "no caption"), ("a.mp4", "no caption"), (",rain,", "no media named"),
     ("b.mp4,wind,", "duplicate"), ("\0,rain,", "bad path"),
     ("a.mp4,rain,soon", "bad start"), ("a.mp4,rain,-1", "bad start"),
     ("a.mp4,rain,nan", "bad start"), ("a" * 5_000 + ",rain", "bad path")],
)  # fmt: skip
def test_a_bad_row_is_listed(table, row, reason):
    rows, broken = table(f"path,caption,start\nb.mp4,wind,\n{row}\n")
    assert rows == [("b.mp4", "wind", None)]
    assert [(b.line, b.reason) for b in broken] == [(3, reason)]


@pytest.mark.parametrize(
    ("text", "encoding"),
    [("", "utf-8"), ("only\n", "utf-8"), ("path,start\na,3\n", "utf-8"), ("ä,rain\n", "latin-1"),
     ("a,rain\n", "utf-16"), ('"' + "x" * 200_000, "utf-8")],
)  # fmt: skip
def test_a_file_that_is_not_a_table_is_an_error(table, text, encoding):
    with pytest.raises(SettingsError):
        table(text, encoding)


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo, lambda path: path.symlink_to("/dev/zero")])
def test_tables_are_only_read_from_files(tmp_path, make):
    make(tmp_path / "none.csv")
    with pytest.raises(SettingsError, match="there is no such file"):
        read_table(tmp_path / "none.csv")


def test_a_missing_table_is_an_error(tmp_path):
    with pytest.raises(SettingsError, match="there is no such file"):
        read_table(tmp_path / "none.csv")


def test_a_line_of_a_gigabyte_is_refused_without_reading_it(tmp_path):
    path = tmp_path / "captions.csv"
    with path.open("wb") as file:
        file.write(b"path,caption\na.mp4,rain\n")
        file.truncate(1 << 30)
    with pytest.raises(SettingsError, match="cannot be read as a table"):
        read_table(path)
