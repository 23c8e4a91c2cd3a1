"""ComfyUI's own nodes take what ours make, and ours what they make."""

import importlib
from io import BytesIO

import av
import pytest
import torch

RATE = 44_100


@pytest.fixture
def native(comfy, node):
    """A node of ComfyUI, where this one has it."""

    def run(name, **inputs):
        if name not in comfy.nodes.NODE_CLASS_MAPPINGS:
            pytest.skip(f"this ComfyUI has no {name}")
        return node(name, **inputs)

    return run


@pytest.fixture(scope="module")
def sound(node, loaded):
    """What AudioX Decode makes of two latents of three seconds."""
    latent = node("AudioXEmptyLatent", seconds=3.0, batch_size=2)
    draw = torch.Generator().manual_seed(0)
    latent = {**latent, "samples": torch.randn(2, 64, 236, generator=draw)}
    return node("AudioXDecode", vae=loaded.vae, latent=latent)


SOUND_NODES = {
    "TrimAudioDuration": ({"start_index": 1.0, "duration": 1.5}, 1.5),
    "AudioAdjustVolume": ({"volume": -6}, 3.0),
    "AudioEqualizer3Band": ({}, 3.0),
    "SplitAudioChannels": ({}, 3.0),
}


@pytest.mark.parametrize("name", SOUND_NODES)
def test_a_sound_node_takes_our_sound(native, sound, name):
    settings, seconds = SOUND_NODES[name]
    made = native(name, audio=sound, **settings)
    made = made[0] if isinstance(made, tuple) else made
    assert made["waveform"].shape[::2] == (2, round(seconds * RATE))


@pytest.mark.parametrize(("name", "seconds"), [("AudioMerge", 3.0), ("AudioConcat", 5.0)])
def test_generated_audio_can_be_concatenated_with_other_audio(native, sound, name, seconds):
    other = native("EmptyAudio", duration=2.0, sample_rate=22_050, channels=2)
    how = {"merge_method": "add"} if name == "AudioMerge" else {"direction": "after"}
    first = {**sound, "waveform": sound["waveform"][:1]}
    made = native(name, audio1=first, audio2=other, **how)
    assert made["waveform"].shape == (1, 2, seconds * RATE)


LATENT_NODES = {  # settings -> items, seconds
    "LatentFromBatch": ({"batch_index": 1, "length": 1}, 1, 3.0),
    "RepeatLatentBatch": ({"amount": 2}, 4, 3.0),
    "LatentMultiply": ({"multiplier": 0.5}, 2, 3.0),
    "LatentBatchSeedBehavior": ({"seed_behavior": "fixed"}, 2, 3.0),
    # what was asked for no longer tells the length of these
    "LatentCut": ({"dim": "x", "index": 50, "amount": 100}, 2, 100 * 2048 / RATE),
}
PAIRS = {
    "LatentBatch": ({}, 4, 3.0),
    "LatentAdd": ({}, 2, 3.0),
    "LatentConcat": ({"dim": "x"}, 2, 472 * 2048 / RATE),
}


@pytest.mark.parametrize("name", [*LATENT_NODES, *PAIRS])
def test_latents_go_through_latent_nodes(native, node, loaded, branches, name):
    settings, items, seconds = {**LATENT_NODES, **PAIRS}[name]
    positive, negative = branches()
    latent = node("AudioXEmptyLatent", seconds=3.0, batch_size=2)
    run = {"model": loaded.model, "positive": positive, "negative": negative, "cfg": 1.0}
    run |= {"steps": 1, "sampler_name": "euler"}
    made = node("AudioXSampler", latent_image=latent, **run)
    given = {"samples1": made, "samples2": made} if name in PAIRS else {"samples": made}
    changed = native(name, **given, **settings)
    assert changed["samples"].std() > 0
    audio = node("AudioXDecode", vae=loaded.vae, latent=changed)
    assert audio["waveform"].shape == (items, 2, round(seconds * RATE))
    again = node("AudioXSampler", latent_image=changed, denoise=0.5, **run)
    assert again["samples"].shape == changed["samples"].shape


def test_a_known_sound_is_not_pasted_where_it_no_longer_belongs(native, node, loaded):
    known = {"waveform": 0.5 * torch.ones(1, 2, 3 * RATE), "sample_rate": RATE}
    latent, _, _ = node("AudioXInpaintLatent", vae=loaded.vae, audio=known, regenerate="1-2")
    cut = native("LatentCut", samples=latent, dim="x", index=40, amount=150)
    whole = node("AudioXDecode", vae=loaded.vae, latent=latent)["waveform"]
    piece = node("AudioXDecode", vae=loaded.vae, latent=cut)["waveform"]
    assert (whole[..., : RATE - 5_000] == 0.5).all()
    assert not (piece == 0.5).all(dim=1).any()


def test_a_video_is_not_repeated_under_a_latent_of_another_length(node, loaded):
    """A latent whose seconds are not connected to those of AudioX Encode Video."""
    images, shared = torch.rand(40, 24, 32, 3), {"conditioners": loaded.conditioners}
    video, seconds = node("AudioXEncodeVideo", images=images, fps=4.0, **shared)
    still = node("AudioXEncodeImage", image=images, **shared)
    assert seconds == 10.0

    def sampled(features, seconds):
        positive, negative = node("AudioXMaskedConditioning", video=features, **shared)
        latent = node("AudioXEmptyLatent", seconds=seconds)
        return node("AudioXSampler", model=loaded.model, positive=positive, negative=negative,
                    latent_image=latent, steps=1)["samples"]  # fmt: skip

    assert sampled(video, 10.0).shape[-1] == 236
    assert sampled(still, 30.0).shape[-1] == 646
    with pytest.raises(Exception, match=r"10\.00 s, but .*30\.00 s.*connect seconds of AudioX Enc"):
        sampled(video, 30.0)


def test_a_host_in_half_precision_is_supported(node, loaded):
    """As with --fp16-intermediates."""
    images, latent = torch.rand(8, 32, 48, 3).half(), torch.randn(1, 64, 236).half()
    shared = {"conditioners": loaded.conditioners}
    video, _ = node("AudioXEncodeVideo", images=images, fps=8.0, **shared)
    still = node("AudioXEncodeImage", image=images, **shared)
    sound = {"waveform": torch.randn(1, 2, RATE).half(), "sample_rate": RATE}
    heard = node("AudioXEncodeAudio", vae=loaded.vae, audio=sound, **shared)
    text = [[node("AudioXEncodeText", text="rain", **shared)[0][0].half(), {}]]
    positive, negative = node(
        "AudioXMaskedConditioning", text=text, video=video, audio=heard, **shared
    )
    made = node("AudioXSampler", model=loaded.model, positive=positive, negative=negative,
                latent_image={"samples": latent}, steps=1)  # fmt: skip
    for part in (video.tokens, still.tokens, heard.tokens, positive[0][0], made["samples"]):
        assert part.isfinite().all()
    assert node("AudioXDecode", vae=loaded.vae, latent=made)["waveform"].dtype == torch.float32


class TestVideos:
    """A VIDEO in every state that ComfyUI knows."""

    @pytest.fixture
    def kinds(self, comfy):
        return importlib.import_module("comfy_api.latest").InputImpl

    @pytest.fixture
    def bikes(self, kinds, clips):
        return kinds.VideoFromFile(str(clips / "bikes.mp4"))

    @pytest.fixture
    def seen(self, node, loaded):
        def encode(video, **where):
            return node("AudioXEncodeVideo", conditioners=loaded.conditioners, video=video, **where)

        return encode

    @pytest.mark.parametrize(
        ("start", "duration", "where"),
        [
            (2.0, 4.0, {"start": 2.0, "length": 4.0}),
            (3.0, 0.0, {"start": 3.0}),
            (-4.0, 0.0, {"start": 6.0}),
            (0.0, 5.0, {"length": 5.0}),
            (8.0, 9.0, {"start": 8.0}),
        ],
    )
    def test_a_slice_is_that_piece(self, native, node, bikes, seen, start, duration, where):
        video = native("Video Slice", video=bikes, start_time=start, duration=duration)
        cut, seconds = seen(video)
        piece, expected = seen(bikes, **where)
        assert seconds == pytest.approx(expected, abs=0.05)
        torch.testing.assert_close(cut.tokens, piece.tokens)

    def test_a_slice_of_a_slice_is_that_piece(self, native, bikes, seen):
        first = native("Video Slice", video=bikes, start_time=2.0, duration=6.0)
        second = native("Video Slice", video=first, start_time=1.0, duration=2.0)
        cut, seconds = seen(second)
        assert seconds == pytest.approx(2.0, abs=0.05)
        torch.testing.assert_close(cut.tokens, seen(bikes, start=3.0, length=2.0)[0].tokens)

    def test_a_soundtrack_of_a_slice_is_as_long(self, native, node, bikes, sound):
        video = native("Video Slice", video=bikes, start_time=2.0, duration=3.0)
        parts = node("GetVideoComponents", video=node("AudioXSoundtrack", video=video, audio=sound))
        assert len(parts[0]) == 75
        assert parts[1]["waveform"].shape[-1] == pytest.approx(3 * RATE, abs=2_048)

    def test_a_video_in_memory_is_read_as_its_file(self, kinds, bikes, seen, clips):
        memory = kinds.VideoFromFile(BytesIO((clips / "bikes.mp4").read_bytes()))
        assert torch.equal(seen(memory)[0].tokens, seen(bikes)[0].tokens)

    def test_pending_edits_of_a_video_are_applied(
        self, kinds, bikes, seen, node, clips, monkeypatch
    ):
        """As newer ComfyUI crops: the frames differ from those of the file."""
        edited = kinds.VideoFromFile(str(clips / "bikes.mp4"))
        images, audio, fps = node("GetVideoComponents", video=bikes)[:3]
        cropped = node("CreateVideo", images=images[:50, 40:100, 40:120], fps=fps, audio=audio)
        edited.has_pending_frame_edits = lambda: True
        edited.get_components = cropped.get_components
        assert torch.equal(seen(edited)[0].tokens, seen(cropped)[0].tokens)
        track = {"waveform": torch.zeros(1, 2, RATE), "sample_rate": RATE}
        made = node("AudioXSoundtrack", video=edited, audio=track)
        assert made.get_components().images.shape[1:3] == (60, 80)

    def test_the_depth_of_colours_survives_the_soundtrack(self, kinds, node, sound):
        types = importlib.import_module("comfy_api.latest").Types
        if not hasattr(kinds.VideoFromComponents, "get_bit_depth"):
            pytest.skip("videos of this ComfyUI have no depth of their own")
        parts = types.VideoComponents(images=torch.rand(8, 16, 16, 3), frame_rate=8)
        deep = kinds.VideoFromComponents(parts, bit_depth=10)
        assert node("AudioXSoundtrack", video=deep, audio=sound).get_bit_depth() == 10

    def test_our_video_is_taken_apart_and_saved(self, comfy, node, bikes, sound):
        made = node("AudioXSoundtrack", video=bikes, audio=sound)
        images, audio = node("GetVideoComponents", video=made)[:2]
        again = node("CreateVideo", images=images[:5], fps=25.0, audio=audio)
        assert again.get_components().images.shape[0] == 5
        assert made.get_dimensions() == bikes.get_dimensions()
        assert made.get_duration() == pytest.approx(10, abs=0.1)
        made.save_to(str(comfy.scratch / "output" / "ours.mp4"))
        with av.open(str(comfy.scratch / "output" / "ours.mp4")) as file:
            assert file.streams.audio
            assert file.streams.video


def test_an_alpha_channel_is_ignored(native, node, loaded):
    image = torch.rand(4, 32, 32, 3, generator=torch.Generator().manual_seed(0))
    clear = native("JoinImageWithAlpha", image=image, alpha=torch.rand(4, 32, 32))
    assert clear.shape[-1] == 4

    def seen(name, **given):
        found = node(name, conditioners=loaded.conditioners, **given)
        return (found[0] if isinstance(found, tuple) else found).tokens

    for name, extra in (("AudioXEncodeImage", {}), ("AudioXEncodeVideo", {"fps": 4.0})):
        socket = "image" if name.endswith("Image") else "images"
        with_alpha, without = (seen(name, **{socket: i}, **extra) for i in (clear, image))
        assert torch.equal(with_alpha, without)


@pytest.mark.parametrize("channels", [1, 2])
def test_sounds_of_comfyui_are_prompts(native, node, loaded, channels):
    silence = native("EmptyAudio", duration=2.0, sample_rate=22_050, channels=channels)
    given = {"vae": loaded.vae, "audio": silence}
    heard = node("AudioXEncodeAudio", conditioners=loaded.conditioners, **given)
    assert heard.tokens.isfinite().all()
    latent, seconds, tail = node("AudioXInpaintLatent", **given, extend_after=1.0)
    assert tail["waveform"].shape == (1, 2, 2 * RATE)
    assert seconds == pytest.approx(3.0)
    assert latent["samples"].shape == (1, 64, 236)


@pytest.mark.parametrize(
    "waveform",
    [
        (2_000 * torch.randn(1, 2, RATE)).to(torch.int16),
        torch.randn(1, 6, RATE),
        torch.randn(3, 1, RATE),
        torch.randn(1, RATE, 2).movedim(-1, 1),
        torch.randn(1, 2, RATE, dtype=torch.float64),
        torch.randn(1, 2, RATE, requires_grad=True),
    ],
    ids=["int16", "surround", "batch", "strided", "double", "grad"],
)
def test_sounds_of_other_packs_are_prompts(node, loaded, waveform):
    sound = {"waveform": waveform, "sample_rate": 48_000, "of_another_pack": object()}
    heard = node("AudioXEncodeAudio", conditioners=loaded.conditioners, vae=loaded.vae, audio=sound)
    assert heard.tokens.isfinite().all()
    assert not heard.tokens.requires_grad
