"""`captions`: what it writes, prints and refuses."""

import json
import shutil

import pytest

from audiox_core.cli import main


@pytest.fixture
def run(clips, tmp_path, capsys, monkeypatch):
    """Run the command beside a folder `media`: exit code, stdout, stderr's last line."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "media").mkdir()
    shutil.copy(clips / "bigbuckbunny.mp4", tmp_path / "media" / "big_bunny-01.mp4")
    shutil.copy(clips / "carphone_distorted.mp4", tmp_path / "media" / "phone.mp4")

    def call(*arguments):
        try:
            code = main(["captions", "media", *arguments])
        except SystemExit as stop:
            code = stop.code
        out, err = capsys.readouterr()
        return code, out, err.splitlines()[-1] if err else ""

    return call


def records(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_manifest_is_written_and_skipped_files_are_listed(run, tmp_path):
    code, out, _ = run("--from-names", "-o", "m.jsonl")
    assert code == 0
    assert records(tmp_path / "m.jsonl") == [
        {"path": "big_bunny-01.mp4", "caption": "big bunny", "task": "text+video_condition-audio"}
    ]
    assert "1 items -> m.jsonl (1 by file name)" in out
    assert "1 left out (1 no sound) -> m.skipped.jsonl" in out
    assert records(tmp_path / "m.skipped.jsonl")[1]["item"] == "phone.mp4"


def test_a_table_gives_captions_and_starts(run, tmp_path):
    (tmp_path / "c.csv").write_text("big_bunny-01,a rabbit,2\nnone.mp4,a dog\n")
    assert run("--csv", "c.csv", "-o", "m.jsonl")[0] == 0
    (record,) = records(tmp_path / "m.jsonl")
    assert (record["caption"], record["start"]) == ("a rabbit", 2.0)


def test_a_check_reads_every_clip_and_lists_the_invalid(run, tmp_path):
    lines = ['{"path": "big_bunny-01.mp4", "caption": "x"}', '{"path": "phone.mp4"}', "{"]
    (tmp_path / "m.jsonl").write_text("\n".join(lines))
    code, out, _ = run("--check", "m.jsonl")
    assert code == 0
    assert "1 of 3 clips can be used" in out
    assert "2 invalid (1 no sound, 1 not JSON) -> m.invalid.jsonl" in out
    assert [r.get("line") for r in records(tmp_path / "m.invalid.jsonl")] == [None, 2, 3]


def test_a_check_that_leaves_nothing_fails_and_lists(run, tmp_path):
    (tmp_path / "m.jsonl").write_text('{"path": "phone.mp4"}')
    code, _, err = run("--check", "m.jsonl")
    assert (code, "No valid clips: 1 no sound" in err) == (2, True)
    assert (tmp_path / "m.invalid.jsonl").exists()


def test_an_existing_manifest_is_kept_without_force(run, tmp_path):
    (tmp_path / "m.jsonl").write_text("mine")
    code, _, err = run("--from-names", "-o", "m.jsonl")
    assert (code, "--force" in err) == (2, True)
    assert (tmp_path / "m.jsonl").read_text() == "mine"
    assert run("--from-names", "-o", "m.jsonl", "--force")[0] == 0


@pytest.mark.parametrize(
    "arguments",
    [
        ("-o", "m.jsonl"),
        ("--from-names",),
        ("--from-names", "-o", "none/m.jsonl"),
        ("--from-names", "-o", "media"),
        ("--from-names", "-o", "m.jsonl", "--task", "text"),
        ("--from-names", "-o", "m.jsonl", "--start-every", "0"),
        ("--from-names", "-o", "m.jsonl", "--ask", "what?"),
        ("--csv", "none.csv", "-o", "m.jsonl"),
        ("--model", "./none", "-o", "m.jsonl"),
        ("--check", "none.jsonl"),
        ("--check", "media"),
        ("--check", "none.jsonl", "--workers", "0"),
    ],
)
def test_bad_usage_is_a_one_line_error_and_writes_nothing(run, tmp_path, arguments):
    before = sorted(tmp_path.rglob("*"))
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert "error: " in err
    assert sorted(tmp_path.rglob("*")) == before
