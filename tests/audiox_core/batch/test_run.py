"""A batch: what is done is skipped, a failure is recorded, a kill loses the item in work."""

import json
import os

import pytest

LINES = ('{"prompt": "rain", "output": "a.wav"}', '{"prompt": "rain", "output": "bad.wav"}',
         '{"prompt": "rain", "output": "c.wav"}')  # fmt: skip


def test_what_is_done_is_skipped_and_a_failure_is_not_repeated(run, manifest):
    first = run(manifest(*LINES))
    assert first.counts == {"done": 2, "failed": 1}
    assert not first.summary.succeeded
    assert first.summary.failures[0]["error"] == "it is bad"
    again = run(manifest(*LINES))
    assert (again.counts, again.rendered) == ({"skipped": 2, "failed before": 1}, [])
    assert run(manifest(*LINES), redo="failed").rendered == ["bad.wav"]
    assert run(manifest(*LINES), redo="all").rendered == ["a.wav", "bad.wav", "c.wav"]


def test_another_setting_renders_again(run, manifest):
    run(manifest(*LINES))
    assert run(manifest(*LINES), "--steps", "3").rendered == ["a.wav", "bad.wav", "c.wav"]


def test_an_output_that_was_deleted_is_rendered_again(run, manifest, tmp_path):
    run(manifest(*LINES))
    (tmp_path / "out" / "a.wav").unlink()
    assert run(manifest(*LINES)).rendered == ["a.wav"]


def test_a_wrong_line_fails_once_and_the_rest_is_rendered(run, manifest):
    path = manifest('{"promt": "rain"}', "half", '{"prompt": "rain", "steps": 0}', LINES[0])
    first = run(path)
    assert first.counts == {"failed": 3, "done": 1}
    assert "did you mean 'prompt'" in first.summary.failures[0]["error"]
    assert run(path).counts == {"failed before": 3, "skipped": 1}


def test_two_items_with_one_output_do_not_replace_one_another(run, manifest):
    path = manifest(LINES[0], '{"prompt": "snow", "output": "a.wav"}')
    for counts in ({"done": 1, "failed": 1}, {"skipped": 1, "failed before": 1}):
        assert run(path).counts == counts


def test_a_file_of_another_origin_is_not_replaced(run, manifest, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a.wav").write_text("mine", encoding="utf-8")
    done = run(manifest(LINES[0]))
    assert "was not made by this batch" in done.summary.failures[0]["error"]
    assert (tmp_path / "out" / "a.wav").read_text(encoding="utf-8") == "mine"
    assert run(manifest(LINES[0]), redo="all").rendered == []
    assert run(manifest(LINES[0]), redo="failed", force=True).counts == {"done": 1}


@pytest.mark.parametrize(
    "line",
    [
        {"prompt": "rain", "output": f"{'a' * 300}.wav"},
        {"prompt": "rain", "output": "\ud800.wav"},
        {"video": "a\0b.mp4"},
        {"prompt": "rain", "checkpoint": "a" * 300},
        {"request": {"prompt": "rain"}, "model": 1, "output": "b.wav"},
    ],
    ids=["long name", "half a character", "null byte", "long checkpoint", "wrong model"],
)
def test_a_line_that_the_system_refuses_does_not_end_the_batch(run, manifest, line):
    done = run(manifest(json.dumps(line), LINES[0]))
    assert done.rendered == ["a.wav"]
    assert len(done.summary.failures) == 1


class Killed(BaseException):
    """The process ends without a word."""


def test_an_item_during_which_the_process_ended_three_times_is_left_out(run, manifest):
    def kill(job):
        raise Killed

    for _ in range(3):
        with pytest.raises(Killed):
            run(manifest(*LINES), on_start=kill)
    done = run(manifest(*LINES))
    assert done.rendered == ["bad.wav", "c.wav"]
    assert "ended 3 times" in done.summary.failures[0]["error"]
    assert "a.wav" in run(manifest(*LINES), redo="failed").rendered


def test_what_a_killed_process_left_is_removed(run, manifest, tmp_path):
    def kill(job):
        (tmp_path / "out" / f".{'0' * 32}.wav").touch()
        os.utime(tmp_path / "out" / f".{'0' * 32}.wav", (10, 10))
        raise Killed

    with pytest.raises(Killed):
        run(manifest(*LINES), on_start=kill)
    run(manifest(*LINES))
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["a.wav", "batch.jsonl", "c.wav"]


def test_ctrl_c_is_no_attempt(run, manifest):
    def stop(job):
        raise KeyboardInterrupt

    for _ in range(4):
        with pytest.raises(KeyboardInterrupt):
            run(manifest(*LINES), on_start=stop)
    assert run(manifest(*LINES)).rendered == ["a.wav", "bad.wav", "c.wav"]


def test_an_input_that_changed_is_rendered_again(run, tmp_path):
    (tmp_path / "clips").mkdir()
    clip = tmp_path / "clips" / "a.mp4"
    clip.write_bytes(b"film")
    assert run(tmp_path / "clips").rendered == ["a.mp4"]
    assert run(tmp_path / "clips").rendered == []
    clip.write_bytes(b"another film")
    assert run(tmp_path / "clips").rendered == ["a.mp4"]


def test_each_job_has_one_end_in_the_ledger(run, manifest, tmp_path):
    run(manifest(*LINES))
    run(manifest(*LINES), redo="failed")
    lines = (tmp_path / "out" / "batch.jsonl").read_text(encoding="utf-8").splitlines()
    ends = [entry["number"] for entry in map(json.loads, lines) if entry["status"] == "done"]
    assert ends == [1, 3]
