import pytest

from audiox_core.cli import main


@pytest.fixture
def run(tmp_path, capsys, monkeypatch):
    """Run the command in an empty folder: exit code, stdout, stderr's lines."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments):
        try:
            code = main([str(argument) for argument in arguments])
        except SystemExit as stop:  # argparse
            code = stop.code
        out, err = capsys.readouterr()
        return code, out, err.splitlines()

    return call
