"""Where a caption comes from, and that nothing of a folder is lost without a word."""

import os
from collections import Counter

import pytest

from audiox_core.media.probe import MediaInfo
from audiox_core.training import captions
from audiox_core.training.captioner import CaptionerError
from audiox_core.training.captions import (
    Settings,
    caption_files,
    caption_from_name,
    find_files,
    starts_every,
)
from audiox_core.training.manifest import Item, Manifest, collect
from audiox_core.training.tasks import Task

BOTH, WORDS = Task("text+video", "audio"), Task("text", "audio")


@pytest.fixture
def captioned(media):
    def run(**settings):
        files, _ = find_files(media)
        return caption_files(media, files, Settings(**settings))

    return run


def reasons(made):
    return {item.item: item.reason for item in made.skipped}


@pytest.mark.parametrize(
    ("stem", "caption"),
    [
        ("dog_barking-03", "dog barking"),
        ("03 - rain on roof (2)", "rain on roof"),
        ("Café.Musik", "Café Musik"),
        ("7up_can", "7up can"),
        ("take_5_jazz_take2", "take 5 jazz"),
        ("雨の音_1", "雨の音"),
        ("0001", ""),
        ("bell\udcff", "bell"),
    ],
)
def test_a_file_name_becomes_a_caption(stem, caption):
    assert caption_from_name(stem) == caption


@pytest.mark.parametrize(
    ("seconds", "starts"), [(3, [0]), (10, [0]), (14.9, [0]), (15, [0, 10]), (31, [0, 10, 20])]
)
def test_an_item_needs_at_least_half_a_step_of_sound(seconds, starts):
    assert starts_every(seconds, 10) == starts


def test_the_default_task_depends_on_the_streams_of_the_file(captioned, film):
    film("dog.mp4")
    film("sub/rain.wav", picture=False)
    assert captioned(from_names=True).items == [
        Item("dog.mp4", caption="dog", task=BOTH),
        Item("sub/rain.wav", caption="rain", task=WORDS),
    ]


def test_a_table_overrides_file_names_and_may_have_several_starts(captioned, film):
    film("a.mp4")
    film("b.mp4")
    rows = Item("a.mp4", caption="one", start=0.0), Item(id="a", caption="two", start=1.0)
    table = Manifest((*rows, Item("gone.mp4", caption="three")))
    made = captioned(table=table, from_names=True)
    assert [(i.path, i.caption, i.start) for i in made.items] == [
        ("a.mp4", "one", 0.0),
        ("a.mp4", "two", 1.0),
        ("b.mp4", "b", None),
    ]
    assert made.sources == Counter({"table": 2, "file name": 1})
    assert reasons(made) == {"gone.mp4": "missing media"}


def test_rows_after_the_end_of_their_file_are_reported(captioned, film):
    film("a.wav", 3, picture=False)
    film("b.wav", 3, picture=False)
    rows = Item("a.wav", caption="one", start=3.5, line=1), Item("a.wav", caption="two", line=2)
    made = captioned(table=Manifest(rows), from_names=True)
    assert [(i.path, i.caption) for i in made.items] == [("a.wav", "two"), ("b.wav", "b")]
    assert [(i.line, i.reason) for i in made.skipped] == [(1, "bad start")]


def test_a_header_that_claims_a_sound_of_years_is_reported(captioned, film, monkeypatch):
    film("a.wav", picture=False)
    monkeypatch.setattr(captions, "probe_media", lambda _: MediaInfo(True, False, 1e9))
    made = captioned(from_names=True, start_every=0.1)
    assert reasons(made) == {"a.wav": "unreadable media"}


def test_files_with_odd_names_are_listed_in_plain_text(captioned, film, media):
    film("red\x1b[31m\nrain.wav", picture=False)
    os.mkfifo(media / "pipe.mp4")
    made = captioned(from_names=True)
    assert [i.path for i in made.items] == ["red\x1b[31m\nrain.wav"]
    assert [i.reason for i in made.skipped] == ["unreadable media"]
    assert all(i.message.isprintable() for i in made.skipped)


def test_a_captioner_sees_the_middle_of_each_piece(captioned, film):
    def grey(picture):
        return f"{picture.float().mean() / 10:.0f}"

    film("a.mp4", 4)
    assert [i.caption for i in captioned(captioner=grey).items] == ["10"]
    made = captioned(captioner=grey, start_every=2.0)
    assert [(i.start, i.caption) for i in made.items] == [(0.0, "5"), (2.0, "15")]


def test_a_captioner_is_not_used_for_files_without_a_picture(captioned, film):
    film("rain.wav", picture=False)
    film("0001.wav", picture=False)
    made = captioned(captioner=lambda _: "never", from_names=True)
    assert [i.caption for i in made.items] == ["rain"]
    assert reasons(made) == {"0001.wav": "no caption"}


def test_unusable_files_are_reported_with_a_reason(captioned, film, media, tmp_path):
    film("silent.mp4", sound=False)
    film("rain.wav", picture=False)
    (media / "broken.mp4").write_text("no film")
    (media / "dead.mp4").symlink_to(tmp_path / "gone.mp4")
    (media / "twin.wav").symlink_to(media / "rain.wav")
    made = captioned(from_names=True)
    assert [i.path for i in made.items] == ["rain.wav"]
    assert reasons(made) == {
        "silent.mp4": "no sound",
        "broken.mp4": "unreadable media",
        "dead.mp4": "unreadable media",
        "twin.wav": "same file",
    }


def test_a_video_task_skips_files_without_a_picture(captioned, film):
    film("rain.wav", picture=False)
    assert reasons(captioned(from_names=True, task=BOTH)) == {"rain.wav": "no picture"}


def test_a_task_without_text_needs_no_captions(captioned, film):
    film("0001.mp4")
    task = Task("video", "audio")
    assert captioned(task=task).items == [Item("0001.mp4", task=task)]


def test_a_captioner_that_never_worked_ends_the_run(captioned, film):
    def fails(_):
        raise CaptionerError("no")

    film("a.mp4")
    with pytest.raises(CaptionerError):
        captioned(captioner=fails)


def test_a_captioner_that_fails_once_skips_one_file(captioned, film):
    def fails_later(_, seen=[]):  # noqa: B006
        seen.append(1)
        if len(seen) == 2:
            raise CaptionerError("no")
        return "x"

    for name in "abc":
        film(f"{name}.mp4", 1)
    made = captioned(captioner=fails_later)
    assert reasons(made) == {"b.mp4": "captioner failed"}
    assert len(made.items) == 2


def test_a_long_caption_is_cut_and_counted(captioned, film):
    film("a.mp4")
    table = collect([(1, {"path": "a.mp4", "caption": "rain " * 2_000})])
    made = captioned(table=table)
    assert made.report().notes == {"captions cut": 1}
    assert len(made.items[0].caption) <= 1_000


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_an_unreadable_folder_is_reported(media, film):
    film("sub/a.mp4")
    (media / "sub").chmod(0)
    files, closed = find_files(media)
    (media / "sub").chmod(0o700)
    assert (files, [b.reason for b in closed]) == ([], ["closed folder"])
