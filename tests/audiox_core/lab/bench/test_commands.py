"""Commands in processes of their own: which exist, and what their end must be."""

import pytest

from audiox_core.errors import SettingsError
from audiox_core.lab.bench import commands
from audiox_core.lab.bench.commands import COMMANDS, ROOT, cpu_of_commands, run_command
from audiox_core.lab.bench.names import NAMES


def test_every_command_is_a_case():
    assert set(COMMANDS) <= set(NAMES)


def test_a_refused_request_ends_as_expected_and_its_cpu_time_is_counted():
    before = cpu_of_commands()
    run_command(ROOT, "command", "refused request")
    assert 0.01 < cpu_of_commands() - before < 20


def test_a_command_that_ends_otherwise_is_an_error_with_its_last_line(monkeypatch):
    monkeypatch.setitem(commands.COMMANDS, "command", {"help": (("lab", "nothing"), 0)})
    with pytest.raises(SettingsError, match=r"`lab nothing` ended with 2: .*nothing"):
        run_command(ROOT, "command", "help")
