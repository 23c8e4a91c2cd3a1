"""The names of tasks."""

import pytest

from audiox_core.errors import SettingsError
from audiox_core.training.tasks import GIVEN, TARGETS, Task


@pytest.mark.parametrize("text", ["video+text_condition-audio", " Text+Video_condition-audio "])
def test_the_name_of_a_task_is_parsed_leniently(text):
    assert str(Task.parse(text)) == "text+video_condition-audio"


@pytest.mark.parametrize("given", GIVEN)
@pytest.mark.parametrize("target", TARGETS)
def test_a_task_is_written_as_it_is_parsed(given, target):
    task = Task(given, target)
    assert Task.parse(str(task)) == task
    assert set(task.needs) <= set(GIVEN[given])


@pytest.mark.parametrize("text", ["", "text", "text_condition-speech", "smell_condition-audio"])
def test_other_names_are_refused_with_the_form_that_is_expected(text):
    with pytest.raises(SettingsError, match=r"is not a task: expected <text\|video\|"):
        Task.parse(text)
