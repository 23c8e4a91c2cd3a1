"""The list of released models."""

import pytest

from audiox_core.hub.models import MODELS


def test_a_model_has_a_page_on_the_hub():
    assert MODELS["audiox-turbo"].page == "https://huggingface.co/HKUSTAudio/AudioX-Turbo"


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_every_model_needs_only_models_of_the_list(model):
    assert set(model.needs) <= MODELS.keys() - {model.name}
    assert len({file.name for file in model.files}) == len(model.files)


def test_only_t5_may_be_used_commercially():
    assert [name for name, model in MODELS.items() if not model.non_commercial] == ["t5-base"]
