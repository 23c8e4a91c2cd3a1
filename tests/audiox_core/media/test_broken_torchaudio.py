"""Hosts in which torchaudio is broken or absent make the same sound."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
GENERATE = """
import sys
from audiox_core.cli import main
code = main(sys.argv[1:])
try:
    import torchaudio
except Exception as error:
    print("torchaudio:", error)
sys.exit(code)
"""


def test_a_torchaudio_that_does_not_load_takes_nothing_with_it(tmp_path, clips):
    module = "raise OSError('libtorch_cuda.so: undefined symbol')"
    (tmp_path / "torchaudio").mkdir()
    (tmp_path / "torchaudio" / "__init__.py").write_text(module, encoding="utf-8")
    clip = str(clips / "bigbuckbunny.mp4")  # its sound is at 48 kHz: it is resampled, too
    arguments = ["generate", "--video", clip, "--audio", clip, "--prompt", "rain"]
    arguments += ["--steps", "1", "--seed", "0", "--output", str(tmp_path / "out.mp4")]
    done = subprocess.run(
        [sys.executable, "-c", GENERATE, *arguments],
        env=os.environ | {"PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "undefined symbol" in done.stdout  # others still see why it does not load
    assert (tmp_path / "out.mp4").stat().st_size > 10_000
