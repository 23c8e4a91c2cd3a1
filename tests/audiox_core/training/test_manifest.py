"""Any spelling of a list is read; a line that says nothing usable is counted with its reason."""

import json
import os
from pathlib import Path

import pytest

from audiox_core.errors import SettingsError
from audiox_core.training.manifest import CAPTION_CHARACTERS, NAMES, Item, read, write
from audiox_core.training.tasks import Task


@pytest.fixture
def listed(tmp_path):
    """Write lines (records, or text as it is) and read them."""

    def make(*lines):
        path = tmp_path / "list.jsonl"
        text = "\n".join(li if isinstance(li, str) else json.dumps(li) for li in lines)
        path.write_text(text, encoding="utf-8")
        return read(path)

    return make


GOOD = {"path": "good.mp4", "caption": "rain"}


@pytest.mark.parametrize("name", [*NAMES["path"], *NAMES["video_path"]])
def test_a_path_may_have_several_keys(listed, name):
    assert listed({name: "a.mp4"}).items == (Item(path="a.mp4"),)


@pytest.mark.parametrize("name", NAMES["id"])
def test_an_id_replaces_a_path(listed, name):
    assert listed({name: "x_-1", "start": "30"}).items == (Item(id="x_-1", start=30.0),)


OTHERS = {
    "start": (3, 3.0),
    "caption": ("rain", "rain"),
    "task": ("uni_condition-music", Task("uni", "music")),
}


@pytest.mark.parametrize(("key", "name"), [(key, name) for key in OTHERS for name in NAMES[key]])
def test_other_fields_may_have_several_keys(listed, key, name):
    given, expected = OTHERS[key]
    assert listed({"path": "a.mp4", name: given}).items == (Item("a.mp4", **{key: expected}),)


def test_sound_and_picture_may_be_in_two_files(listed):
    (item,) = listed({"path": "a.wav", "video_path": "a.mp4"}).items
    assert (item.path, item.video_path) == ("a.wav", "a.mp4")


def test_a_written_manifest_reads_back_equal(tmp_path):
    items = (
        Item(path="ä/b c.mp4", caption='a "dog"\nbarks 🐕', task=Task("text+video", "audio")),
        Item(path="a.wav", video_path="a.mp4", start=1.25, task=Task("uni", "music")),
        Item(id="-x_y", start=30.0, caption="rain"),
        Item(path="odd\udcff.mp4", caption="rain"),  # a name that is no text, as Linux allows
    )
    write(tmp_path / "list.jsonl", items)
    assert read(tmp_path / "list.jsonl").items == items


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("{", "not JSON"),
        ("[1]", "not JSON"),
        ("7" * 5_000, "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("{}", "no media named"),
        ({"path": ""}, "no media named"),
        ({"path": 3}, "bad path"),
        ({"id": ["a"]}, "bad id"),
        ({"path": "a", "caption": {"en": "rain"}}, "bad caption"),
        ({"path": "a", "caption": "\ud800"}, "bad caption"),
        ({"path": "a\0"}, "bad path"),
        ({"path": "a" * 5_000}, "bad path"),
        ({"video": "a" * 5_000}, "bad video_path"),
        ({"id": "\0"}, "bad id"),
        ({"path": "a", "task": "\x1b[31m" * 99}, "bad task"),
        ('{"path": "a", "path": ' + "[" * 20_000, "not JSON"),
        ('{"path": "a", "start": ' + "9" * 400 + "}", "bad start"),
        ('{"path": "a", "start": ' + "9" * 9_000 + "}", "not JSON"),
        ('{"path": "a", "start": -0.001}', "bad start"),
        ({"path": "a", "start": [3]}, "bad start"),
        ({"path": "a", "start": -1}, "bad start"),
        ({"path": "a", "start": True}, "bad start"),
        ({"path": "a", "start": "soon"}, "bad start"),
        ({"path": "a", "start": 1e9}, "bad start"),
        ('{"path": "a", "start": NaN}', "bad start"),
        ('{"path": "a", "start": Infinity}', "bad start"),
        ({"path": "a", "task": "text"}, "bad task"),
        ({"path": "a", "task": "text_condition-speech"}, "bad task"),
        (GOOD, "duplicate"),
    ],
)
def test_an_invalid_line_is_kept_with_its_reason(listed, line, reason):
    manifest = listed(GOOD, line)
    assert [item.path for item in manifest.items] == ["good.mp4"]
    assert [(b.line, b.reason) for b in manifest.invalid] == [(2, reason)]
    assert manifest.invalid[0].message.isprintable()
    assert len(manifest.invalid[0].message) < 300


def test_half_of_a_manifest_can_be_invalid(listed):
    lines = [{"path": f"{k}.mp4"} if k % 2 else "{broken" for k in range(100)]
    manifest = listed(*lines)
    assert (len(manifest.items), len(manifest.invalid)) == (50, 50)


def test_a_caption_of_10000_characters_is_cut_at_a_word_and_counted(listed):
    manifest = listed({"path": "a.mp4", "caption": "rainfall " * 1_111})
    assert manifest.cut_captions == 1
    assert CAPTION_CHARACTERS - 9 <= len(manifest.items[0].caption) <= CAPTION_CHARACTERS
    assert manifest.items[0].caption.endswith("rainfall")


def test_two_captions_of_one_clip_are_two_items(listed):
    assert len(listed(GOOD, GOOD | {"caption": "drops"}).items) == 2


def test_windows_line_ends_byte_order_mark_and_empty_lines_are_accepted(tmp_path):
    path = tmp_path / "list.jsonl"
    path.write_bytes(b'\xef\xbb\xbf{"path": "a.mp4"}\r\n\r\n{"path": "b.mp4"}\r\n')
    assert [(item.path, item.line) for item in read(path).items] == [("a.mp4", 1), ("b.mp4", 3)]


@pytest.mark.parametrize("content", [b"", b"\n\n", b"{}\n", bytes(3 << 20), b"\xff\xfe{\n"])
def test_a_manifest_without_a_valid_line_is_an_error(tmp_path, content):
    path = tmp_path / "list.jsonl"
    path.write_bytes(content)
    with pytest.raises(SettingsError, match=r"none of its [0-9] lines is valid"):
        read(path)


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo, lambda path: path.symlink_to("/dev/zero")])
def test_manifests_are_only_read_from_files(tmp_path, make):
    make(tmp_path / "list.jsonl")
    with pytest.raises(SettingsError, match=r"is not a file.*captions"):
        read(tmp_path / "list.jsonl")


def test_a_line_that_is_not_utf8_is_kept_with_its_reason(tmp_path):
    path = tmp_path / "list.jsonl"
    path.write_bytes(b'{"path": "a.mp4"}\n{"path": "caf\xe9.mp4"}\n{"path": "b\0.mp4"}\n')
    manifest = read(path)
    assert [item.path for item in manifest.items] == ["a.mp4"]
    assert [(i.line, i.reason) for i in manifest.invalid] == [(2, "not JSON"), (3, "not JSON")]


def test_a_line_of_megabytes_is_not_read_into_memory(tmp_path):
    path = tmp_path / "list.jsonl"
    with path.open("wb") as file:
        file.write(b'{"path": "a.mp4"}\n')
        file.truncate(1 << 30)  # a line of a gigabyte that takes no room on the disk
    manifest = read(path)
    assert [(i.line, i.reason) for i in manifest.invalid] == [(2, "not JSON")]


def test_a_missing_manifest_is_an_error(tmp_path):
    with pytest.raises(SettingsError, match="is not a file"):
        read(tmp_path / "none.jsonl")
