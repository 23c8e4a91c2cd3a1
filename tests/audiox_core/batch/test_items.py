"""The items of a batch: files of a folder or a glob, lines of a manifest, prompts."""

import pytest

from audiox_core.batch.items import Manifest, fixed_folder, open_items
from audiox_core.errors import SettingsError


@pytest.fixture
def folder(tmp_path):
    for name in ("b.mp4", "sub/a.PNG", "c.wav", "notes.txt", "out/b.mp4", ".hidden.mp4"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


def test_files_of_a_folder_are_inputs_by_their_kind_without_those_of_the_outputs(folder):
    items = open_items(str(folder), without=folder / "out")
    assert [(item.number, *item.fields, item.name) for item in items] == [
        (1, "video", "b"),
        (2, "audio", "c"),
        (3, "image", "sub/a"),
    ]
    assert items.count() == 3
    (sound,) = (item for item in open_items(str(folder), sound_as="init_audio") if item.name == "c")
    assert [*sound.fields] == ["init_audio"]


def test_a_glob_finds_files_by_name_and_keeps_their_folders(folder):
    items = open_items(str(folder / "**" / "*.[mP]*"), without=folder / "out")
    assert [item.name for item in items] == ["b", "sub/a"]
    assert [item.name for item in open_items(str(folder / "b.mp4"))] == ["b"]


def test_the_folder_of_a_source_is_its_part_before_the_first_placeholder(folder):
    assert fixed_folder(str(folder)) == folder
    assert fixed_folder(str(folder / "*" / "a.mp4")) == folder
    assert fixed_folder(str(folder / "b.mp4")) is None


def test_lines_of_a_manifest_are_numbered_without_empty_ones(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"prompt": "rain"}\n\n[1]\n{"prompt": \n', encoding="utf-8")
    rain, listed, half = Manifest(path)
    assert (rain.number, rain.fields, rain.folder) == (1, {"prompt": "rain"}, tmp_path)
    assert (listed.number, listed.problem[:20]) == (2, "The line is not a JS")
    assert "not JSON" in half.problem
    assert Manifest(path).count() == 3


def test_each_line_of_a_text_file_is_a_prompt(tmp_path):
    (tmp_path / "a.txt").write_text("rain\n\n a bell \n", encoding="utf-8")
    fields = [item.fields for item in open_items(str(tmp_path / "a.txt"))]
    assert fields == [{"prompt": "rain"}, {"prompt": "a bell"}]
    (tmp_path / "a.txt").write_text("rain\na bell", encoding="utf-8-sig")  # as some editors do
    fields = [item.fields for item in open_items(str(tmp_path / "a.txt"))]
    assert fields == [{"prompt": "rain"}, {"prompt": "a bell"}]


def test_a_single_file_may_lie_in_the_folder_of_the_outputs(tmp_path):
    (tmp_path / "a.mp4").touch()
    (item,) = open_items(str(tmp_path / "a.mp4"), without=tmp_path)
    assert item.fields == {"video": str(tmp_path / "a.mp4")}


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nowhere", "There is no folder or file"),
        ("a.xml", "neither a media file nor a manifest"),
        ("empty", "contains no video"),
        ("*.mp4", "contains no video"),
        ("a.jsonl", "contains no line"),
    ],
)
def test_a_source_without_items_is_refused(tmp_path, name, message):
    for listed in ("a.xml", "a.jsonl"):
        (tmp_path / listed).touch()
    (tmp_path / "empty").mkdir()
    with pytest.raises(SettingsError, match=message):
        open_items(str(tmp_path / name))
