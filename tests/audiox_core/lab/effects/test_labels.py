"""The classes of the recorded effects."""

import subprocess
import sys

from audiox_core.lab.effects.labels import EVENT_LABELS, LABELS, TEXTURE_LABELS
from audiox_core.lab.effects.sounds import RECORDINGS, SYNTHESISED, SYNTHESISED_TEXTURES


def test_every_class_has_one_kind_and_one_sound():
    assert len(LABELS) == len(set(LABELS)) == len(EVENT_LABELS) + len(TEXTURE_LABELS)
    assert {*RECORDINGS, *SYNTHESISED, *SYNTHESISED_TEXTURES} == set(LABELS)
    assert not RECORDINGS.keys() & SYNTHESISED.keys()


def test_listing_them_needs_neither_numpy_nor_pytorch():
    code = "import sys, audiox_core.lab.effects.labels; print({'torch', 'numpy'} & {*sys.modules})"
    made = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert made.stdout == "set()\n"
