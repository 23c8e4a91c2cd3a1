"""`demo`: the first thing that anybody runs."""

import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import av
import pytest

from audiox_core.cli import main
from audiox_core.media.examples import CLIPS, FOLDER

ROOT = Path(__file__).parents[4]


@pytest.fixture
def clip(clip):
    return clip("mine.mp4", frames=50, codec="mpeg4")


def streams(path):
    with av.open(str(path)) as container:
        return [stream.type for stream in container.streams]


def lines(path):
    return [e for e in ElementTree.parse(path).iter() if e.tag.endswith("line")]


def test_an_example_clip_and_a_video_get_sound(clip, tmp_path, capsys):
    folder = tmp_path / "made"
    assert main(["demo", str(clip), "--output", str(folder)]) == 0
    assert sorted(path.name for path in folder.iterdir()) == [
        "mine-with-sound.mp4", "yard.mp4", "yard.svg",
    ]  # fmt: skip
    out = capsys.readouterr().out
    for name in ("yard.mp4", "mine-with-sound.mp4"):
        assert sorted(streams(folder / name)) == ["audio", "video"]
        assert name in out
    assert len(lines(folder / "yard.svg")) == len(CLIPS["yard"].events)


def test_a_clip_without_events_is_drawn_with_even_frames_and_no_lines(tmp_path):
    assert main(["demo", "--clip", "rain", "--output", str(tmp_path)]) == 0
    drawn = tmp_path / "rain.svg"
    frames = [e for e in ElementTree.parse(drawn).iter() if e.tag.endswith("image")]
    assert (len(lines(drawn)), len(frames)) == (0, 10 + 1)  # and the spectrogram


def test_the_example_itself_is_not_overwritten(capsys):
    before = (FOLDER / "yard.mp4").read_bytes()
    assert main(["demo", "--force", "--output", str(FOLDER)]) == 2
    assert "--output" in capsys.readouterr().err
    assert (FOLDER / "yard.mp4").read_bytes() == before
    assert not (FOLDER / "yard.svg").exists()


def test_neither_pillow_nor_the_recordings_are_needed():
    code = (
        "import sys; sys.modules['PIL'] = None; import audiox_core.lab.commands.demo_run;"
        "print([name for name in sys.modules if '.lab.effects' in name])"
    )
    run = [sys.executable, "-c", code]
    found = subprocess.run(run, capture_output=True, text=True, check=False, cwd=ROOT)
    assert (found.returncode, found.stdout) == (0, "[]\n"), found.stderr


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
    (tmp_path / "yard.svg").write_text("mine")
    assert main(["demo", "--output", str(tmp_path)]) == 2
    assert "yard.svg already exists: add --force" in capsys.readouterr().err
    assert (tmp_path / "yard.svg").read_text() == "mine"


def test_an_output_that_is_a_file_is_an_error(clip, capsys):
    assert main(["demo", "--output", str(clip)]) == 2
    assert f"{clip} is a file" in capsys.readouterr().err


def test_a_video_with_the_name_of_the_example_clip_is_not_overwritten(clip, tmp_path, capsys):
    mine = clip.rename(tmp_path / "yard.mp4")
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
