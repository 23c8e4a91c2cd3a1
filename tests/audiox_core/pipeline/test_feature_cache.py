"""What was seen once is not looked at again; what changed is."""

import os
from dataclasses import replace

import pytest
import torch

from audiox_core import FeatureCache, Pipeline, Request
from audiox_core.checkpoint.auxiliary_files import missing_synchformer
from audiox_core.conditioners.missing_module import MissingModule
from audiox_core.errors import AudioXError, MediaError
from audiox_core.pipeline.encode import Features
from audiox_core.pipeline.feature_cache import file_key, weights_key

QUICK = {"steps": 1, "seconds": 2.0}


def tokens(count: int, value: float = 0.0) -> Features:
    return Features("video", torch.full((count,), value), "audiox")


def test_missing_features_are_computed_once():
    cache, made = FeatureCache(), []

    def make():
        made.append(1)
        return tokens(3)

    assert cache.get("a", make) is cache.get("a", make)
    assert len(made) == 1
    cache.clear()
    cache.get("a", make)
    assert len(made) == 2


def test_a_full_cache_drops_the_least_recently_used_features():
    cache = FeatureCache(max_bytes=3 * 400)
    for name in "abc":
        cache.get(name, lambda: tokens(100))
    cache.get("a", lambda: pytest.fail("a is kept"))
    cache.get("d", lambda: tokens(100))
    assert (len(cache), cache.nbytes) == (3, 1200)
    cache.get("a", lambda: pytest.fail("a was used"))
    assert cache.get("b", lambda: tokens(100, 1.0)).tokens.sum() == 100
    cache.get("large", lambda: tokens(1000))
    assert (len(cache), cache.nbytes) == (3, 1200)


def test_a_cache_of_zero_bytes_keeps_nothing():
    cache = FeatureCache(0)
    cache.get("a", lambda: tokens(1))
    assert len(cache) == 0


def test_a_changed_file_has_another_key(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"one")
    os.utime(path, ns=(5, 5))
    first = file_key(path)
    assert file_key(str(path)) == first
    path.write_bytes(b"two")
    os.utime(path, ns=(5, 5))  # as long, and set back in time
    assert file_key(path) != first


def test_changed_weights_have_another_key(sync_checkpoint):
    video = sync_checkpoint.conditioners.video
    key = weights_key(video)
    assert key == weights_key(video)
    old = video.sync_weight.data
    video.sync_weight.data = old + 1
    assert weights_key(video) != key
    video.sync_weight.data = old


@pytest.fixture
def encoded(monkeypatch):
    """One entry for each picture that a pipeline encodes."""
    calls, encode = [], Pipeline._encode_picture

    def counting(self, *arguments):
        calls.append(1)
        return encode(self, *arguments)

    monkeypatch.setattr(Pipeline, "_encode_picture", counting)
    return calls


@pytest.fixture
def bikes(clips):
    return clips / "bikes.mp4"


def test_another_prompt_or_seed_does_not_encode_the_video_again(sync_checkpoint, bikes, encoded):
    pipeline = Pipeline(sync_checkpoint, FeatureCache())
    first, second = (
        pipeline.generate(Request(video=bikes, prompt=prompt, seed=seed, **QUICK)).waveform
        for prompt, seed in (("rain", 1), ("a dog barks", 2))
    )
    assert len(encoded) == 1
    plain = Pipeline(sync_checkpoint).generate(
        Request(video=bikes, prompt="a dog barks", seed=2, **QUICK)
    )
    assert torch.equal(second, plain.waveform)
    assert not torch.equal(first, second)


def features(pipeline, request):
    sources = pipeline.sources(request)
    with torch.no_grad():
        return pipeline._picture_features(request, sources.clip, sources.seconds).tokens


@pytest.mark.parametrize(
    "change",
    [{"start": 1.0}, {"hide": {"video": ((0, 1),)}}, {"timing": "reference"}, {"seconds": 1.5}],
    ids=str,
)
def test_a_changed_image_is_encoded_again(sync_checkpoint, bikes, encoded, change):
    pipeline = Pipeline(sync_checkpoint, FeatureCache())
    request = Request(video=bikes, seconds=2.0)
    before, after = (features(pipeline, r) for r in (request, replace(request, **change)))
    assert len(encoded) == 2
    assert not torch.equal(before, after)


def test_a_changed_file_or_another_model_is_encoded_again(
    sync_checkpoint, checkpoint, bikes, clips, encoded, tmp_path
):
    cache, path = FeatureCache(), tmp_path / "a.mp4"
    request = Request(video=path, seconds=2.0)
    path.write_bytes(bikes.read_bytes())
    features(Pipeline(checkpoint, cache), request)
    features(Pipeline(sync_checkpoint, cache), request)
    assert len(encoded) == 2
    path.write_bytes((clips / "bigbuckbunny.mp4").read_bytes())
    changed = features(Pipeline(checkpoint, cache), request)
    assert len(encoded) == 3
    assert torch.equal(changed, features(Pipeline(checkpoint), request))


def test_a_missing_image_is_the_same_error_with_and_without_a_cache(checkpoint, tmp_path):
    pipeline = Pipeline(checkpoint, FeatureCache())
    with pytest.raises(MediaError, match="There is no file"):
        pipeline.generate(Request(image=tmp_path / "none.png", **QUICK))


def test_only_pictures_need_synchformer(sync_checkpoint, bikes, tmp_path):
    conditioners = sync_checkpoint.conditioners
    missing = MissingModule(missing_synchformer(sync_checkpoint.path))
    blind = type(conditioners)(
        conditioners.text, conditioners.video, conditioners.audio, sync=missing
    )
    pipeline = Pipeline(replace(sync_checkpoint, conditioners=blind))
    assert pipeline.generate(Request(prompt="rain", **QUICK)).waveform.isfinite().all()
    for picture in ({"video": bikes}, {"image": bikes}):
        with pytest.raises(AudioXError, match="synchformer_state_dict"):
            pipeline.generate(Request(**picture, **QUICK))


def test_an_image_is_encoded_like_a_video_without_motion(sync_checkpoint, bikes):
    sound = Pipeline(sync_checkpoint).generate(Request(image=bikes, **QUICK))
    assert sound.waveform.isfinite().all()
