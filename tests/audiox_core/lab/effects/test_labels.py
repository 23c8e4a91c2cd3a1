"""The classes of the recorded effects."""

import subprocess
import sys

from audiox_core.lab.effects.labels import EVENT_LABELS, LABELS, TEXTURE_LABELS


def test_there_are_26_classes_with_an_onset_or_a_level():
    assert len(LABELS) == len(set(LABELS)) == 26
    assert {*EVENT_LABELS} | {*TEXTURE_LABELS} == {*LABELS}


def test_the_classes_need_no_pillow():
    code = "import sys; sys.modules['PIL'] = None; import audiox_core.lab.effects.labels"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
