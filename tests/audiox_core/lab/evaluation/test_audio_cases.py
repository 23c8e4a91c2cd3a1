"""Cases that compare sounds: repaired seconds."""

import json

from audiox_core.cli import main


def test_the_kept_part_of_a_repaired_sound_is_measured(capsys):
    assert main(["lab", "evaluate", "--only", "repair", "--share", "0.01", "--json"]) == 0
    figures = json.loads(capsys.readouterr().out)
    distance = "audio.repair_log_spectral_distance"
    assert figures["audio.repair_known_part_equal"] is True
    assert figures[f"{distance}_of_vae"] < figures[distance] < figures[f"{distance}_shuffled"]
