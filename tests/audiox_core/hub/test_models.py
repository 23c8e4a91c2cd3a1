"""The list of released models, and the unique names of their files."""

from math import prod
from pathlib import PurePosixPath

import pytest

from audiox_core.checkpoint.layout import (
    SYNC_ENCODER,
    oobleck_layout,
    released_layout,
    synchformer_layout,
)
from audiox_core.hub.models import (
    FILES,
    MODELS,
    OPTIONAL,
    HubError,
    files_of,
    find_model,
    workflow_models,
)
from audiox_core.variants import VARIANTS

RELEASES = [name for name, model in MODELS.items() if model.needs]
# the front ends from 1.49 to 1.58 offer to download only these
HOST, SUFFIXES = "https://huggingface.co/", (".safetensors", ".sft", ".ckpt", ".pth", ".pt")


def test_a_model_has_a_page_on_the_hub():
    assert MODELS["audiox-turbo"].page == "https://huggingface.co/HKUSTAudio/AudioX-Turbo"


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_every_model_needs_only_models_of_the_list(model):
    assert set(model.needs) <= MODELS.keys() - {model.name}
    assert len({file.name for file in model.files}) == len(model.files)


def test_only_t5_may_be_used_commercially():
    assert [name for name, model in MODELS.items() if not model.non_commercial] == ["t5-base"]


def test_every_file_has_one_flat_name_that_differs_from_all_others_on_every_system():
    assert len({name.lower() for name in FILES}) == len(FILES)
    assert all("/" not in name and "\\" not in name for name in FILES)


@pytest.mark.parametrize("model", RELEASES)
def test_a_workflow_offers_every_weights_file_of_a_release_to_the_front_end(model):
    offered = workflow_models(model)
    stored = [file for file in MODELS[model].files if file.name != OPTIONAL]
    assert len(offered) == len(stored) + 1  # T5-base
    assert {entry["name"] for entry in offered} == {f.name for f in files_of(model).values()}
    for entry in offered:
        assert entry["url"].startswith(HOST)
        assert entry["name"].endswith(SUFFIXES)
        assert entry["directory"] in ("audiox", "text_encoders")


@pytest.mark.parametrize("file", FILES.values(), ids=FILES)
def test_a_file_is_looked_for_under_its_flat_name_and_where_fetch_stores_it(file):
    assert file.places[0] == PurePosixPath(file.name)
    folder = PurePosixPath(file.model.folder)
    assert folder / file.path.name in [file.directory / place for place in file.places]
    assert file.path in file.model.files


@pytest.mark.parametrize("variant", RELEASES)
def test_the_sizes_are_those_of_the_tensors(variant):
    config, files = VARIANTS[variant], files_of(variant)
    assert files["file"].size == _bytes(released_layout(config))
    if "vae_file" in files:
        assert files["vae_file"].size == _bytes(oobleck_layout(config.vae))
    if "synchformer_file" in files:  # the public file also contains an audio branch
        encoder = config.video.sync.encoder
        assert files["synchformer_file"].size > _bytes(synchformer_layout(encoder, SYNC_ENCODER))


def _bytes(layout):
    return 4 * sum(map(prod, layout.values()))


@pytest.mark.parametrize(("typed", "name"), [("turbo", "audiox-turbo"), ("T5", "t5-base")])
def test_a_model_may_be_named_in_short(typed, name):
    assert find_model(typed) is find_model(name) is MODELS[name]


def test_a_wrong_name_suggests_the_nearest():
    with pytest.raises(HubError, match=r"did you mean turbo\? Choose one of v1 \(audiox\), "):
        find_model("trubo")


def test_a_restricted_choice_lists_only_what_is_allowed():
    with pytest.raises(HubError, match=r"Unknown model 't5': Choose one of v1 \(audiox\)\."):
        find_model("t5", ["audiox"])
