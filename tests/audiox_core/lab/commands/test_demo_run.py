"""`demo`: the first thing that anybody runs."""

from xml.etree import ElementTree

import av
import pytest

from audiox_core.cli import main
from audiox_core.lab.evaluation.clips import held_out_scene, write_scene


@pytest.fixture
def clip(tmp_path):
    times = [n / 10 for n in range(20)]
    return write_scene(tmp_path / "mine.mp4", held_out_scene(1, "bell"), times)


def streams(path):
    with av.open(str(path)) as container:
        return [stream.type for stream in container.streams]


def test_a_rendered_clip_and_a_video_get_sound(clip, tmp_path, capsys):
    folder = tmp_path / "made"
    assert main(["demo", str(clip), "--label", "clock", "--output", str(folder)]) == 0
    assert sorted(path.name for path in folder.iterdir()) == [
        "clock.mp4", "clock.svg", "mine-with-sound.mp4",
    ]  # fmt: skip
    out = capsys.readouterr().out
    for name in ("clock.mp4", "mine-with-sound.mp4"):
        assert sorted(streams(folder / name)) == ["audio", "video"]
        assert name in out
    lines = [e for e in ElementTree.parse(folder / "clock.svg").iter() if e.tag.endswith("line")]
    assert len(lines) == len(held_out_scene(0, "clock").events)


def test_a_missing_video_is_a_one_line_error(tmp_path, capsys):
    code = main(["demo", str(tmp_path / "nowhere.mp4"), "--output", str(tmp_path / "made")])
    assert code == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
    assert not (tmp_path / "made").exists()


def test_a_failed_run_leaves_no_empty_folder(clip, tmp_path, capsys):
    made = tmp_path / "new" / "made"
    assert main(["demo", str(clip), "--output", str(made), "--device", "cuda:99"]) == 2
    assert "cuda:99" in capsys.readouterr().err
    assert not (tmp_path / "new").exists()


def test_existing_files_are_kept_without_force(tmp_path, capsys):
    (tmp_path / "ball.svg").write_text("mine")
    assert main(["demo", "--output", str(tmp_path)]) == 2
    assert "ball.svg already exists: add --force" in capsys.readouterr().err
    assert (tmp_path / "ball.svg").read_text() == "mine"


def test_an_output_that_is_a_file_is_an_error(clip, capsys):
    assert main(["demo", "--output", str(clip)]) == 2
    assert f"{clip} is a file" in capsys.readouterr().err


def test_a_video_with_the_name_of_the_rendered_clip_is_not_overwritten(clip, tmp_path, capsys):
    mine = clip.rename(tmp_path / "ball.mp4")
    before = mine.read_bytes()
    assert main(["demo", str(mine), "--output", str(tmp_path)]) == 2
    assert "--output" in capsys.readouterr().err
    assert mine.read_bytes() == before


def test_an_avi_gets_its_soundtrack_in_an_mkv(clip, tmp_path):
    other = tmp_path / "mine.avi"
    with av.open(str(clip)) as source, av.open(str(other), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                target.mux(packet)
    assert main(["demo", str(other), "--output", str(tmp_path / "made")]) == 0
    assert sorted(streams(tmp_path / "made" / "mine-with-sound.mkv")) == ["audio", "video"]
