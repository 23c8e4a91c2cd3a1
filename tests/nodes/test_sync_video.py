"""A model that looks at a video twice, in the graph."""

import importlib
from dataclasses import replace
from itertools import islice

import av
import pytest
import torch


@pytest.fixture(scope="module")
def core(pack):
    """A module of the core as this pack imports it."""
    return lambda name: importlib.import_module(f"{pack.__name__}.audiox_core.{name}")


@pytest.fixture(scope="module")
def twice(loaded, core, pack, tiny_synchformer):
    """Conditioners with a tiny Synchformer."""
    native = loaded.conditioners
    conditioners, config = tiny_synchformer(core, native.conditioners, native.config)
    bridge = importlib.import_module(f"{pack.__name__}.nodes.bridge.conditioners")
    file, patchers = replace(native.file, config=config), bridge.make_patchers(conditioners)
    return type(native)(file, conditioners, patchers)


@pytest.fixture
def video(node, clips):
    folder = importlib.import_module("comfy_api.latest")
    return folder.InputImpl.VideoFromFile(str(clips / "bikes.mp4"))


def test_a_video_has_the_same_features_as_in_the_core(node, twice, core, video, clips):
    features, seconds = node("AudioXEncodeVideo", conditioners=twice, video=video, time_mask="1-2")
    looks, media = core("conditioners.video"), core("media.video")
    slow, fast = media.read_grids(
        clips / "bikes.mp4", media.frame_grids(twice.config.video), end=seconds
    )
    hide = ((1.0, 2.0),)
    with torch.inference_mode():
        sync = looks.encode_sync(twice.conditioners.sync, fast, 25, hide)
        expected = twice.conditioners.video.encode(slow, hide, sync=sync)
        blind = twice.conditioners.video.encode(slow, hide)
    torch.testing.assert_close(features.tokens[:1].cpu(), expected.cpu(), atol=1e-4, rtol=1e-4)
    assert (features.tokens[:1].cpu() - blind.cpu()).abs().max() > 1e-3


def test_frames_of_a_video_have_the_same_features_as_its_file(node, twice, video, clips):
    with av.open(str(clips / "bikes.mp4")) as source:
        decoded = islice(source.decode(video=0), 51)
        images = torch.stack([torch.from_numpy(f.to_ndarray(format="rgb24")) for f in decoded])
    of_file, _ = node("AudioXEncodeVideo", conditioners=twice, video=video, length=2.0)
    of_frames, _ = node(
        "AudioXEncodeVideo", conditioners=twice, images=images / 255, fps=25.0, length=2.0
    )
    assert torch.equal(of_file.tokens, of_frames.tokens)


def test_an_image_is_encoded_like_a_video_without_motion(node, twice):
    side = twice.config.video.clip.image  # one that needs no scaling, which rounds in a video alone
    image = torch.rand(1, side, side, 3, generator=torch.Generator().manual_seed(1))
    still = node("AudioXEncodeImage", conditioners=twice, image=image)
    clip, _ = node(
        "AudioXEncodeVideo", conditioners=twice, images=image.expand(50, -1, -1, -1), fps=5.0
    )
    torch.testing.assert_close(still.tokens, clip.tokens, atol=1e-4, rtol=1e-4)


def test_synchformer_is_under_the_memory_manager(twice):
    models = [patcher.model for patcher in twice.get_models()]
    assert twice.conditioners.sync in models
    assert twice.conditioners.sync.activation_bytes() > 0


def test_a_video_stops_between_batches_of_segments(node, twice, video):
    mm = importlib.import_module("comfy.model_management")
    forwards = []

    def interrupt(*_):
        forwards.append(1)
        mm.interrupt_current_processing()

    hook = twice.conditioners.sync.register_forward_hook(interrupt)
    try:
        with pytest.raises(mm.InterruptProcessingException):
            node("AudioXEncodeVideo", conditioners=twice, video=video)
    finally:
        hook.remove()
        mm.interrupt_current_processing(False)
    assert len(forwards) == 1


def test_a_video_without_synchformer_is_refused_and_a_text_needs_none(node, twice, core, video):
    have = twice.conditioners
    missing = core("conditioners.missing_module").MissingModule(
        core("checkpoint.auxiliary_files").missing_synchformer(twice.file.path)
    )
    lacking = type(have)(have.text, have.video, have.audio, missing)
    patchers = {name: patcher for name, patcher in twice.patchers.items() if name != "sync"}
    blind = type(twice)(twice.file, lacking, patchers)
    node("AudioXEncodeText", conditioners=blind, text="rain")
    with pytest.raises(Exception, match=r"synchformer_state_dict\.pth.*fetch synchformer"):
        node("AudioXEncodeVideo", conditioners=blind, video=video)
