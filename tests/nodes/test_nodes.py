"""What every node promises, and what goes through them."""

import av
import pytest
import torch

from audiox_core.media.loudness import measure_loudness


def test_every_node_and_every_socket_explains_itself(node):
    assert len(node.classes) == 23
    for name, kind in node.classes.items():
        schema = kind.GET_SCHEMA()
        assert schema.description, name
        for socket in (*schema.inputs, *schema.outputs):
            assert socket.tooltip, f"{name}.{socket.id}"


def test_a_prompt_becomes_sound(node, loaded, branches):
    positive, negative = branches()
    latent = node("AudioXEmptyLatent", seconds=3.0)
    made = node("AudioXSampler", model=loaded.model, positive=positive, negative=negative,
                latent_image=latent, steps=2)  # fmt: skip
    audio = node("AudioXDecode", vae=loaded.vae, latent=made)
    assert audio["waveform"].shape == (1, 2, 132_300)
    assert audio["sample_rate"] == 44_100
    whole = node("AudioXDecode", vae=loaded.vae, latent=made, trim=False)
    assert whole["waveform"].shape[-1] == 236 * 2048


@pytest.mark.parametrize("level", ["peak", "loudness"])
def test_audiox_decode_brings_the_audio_to_the_chosen_level(node, loaded, pack, level):
    latent = {"samples": torch.randn(2, 64, 236, generator=torch.Generator().manual_seed(0))}
    audio = node("AudioXDecode", vae=loaded.vae, latent=latent, level=level, lufs=-30.0)
    for waveform in audio["waveform"]:
        if level == "peak":
            assert waveform.abs().max() == pytest.approx(1, abs=1e-4)
        else:
            assert measure_loudness(waveform, 44_100).lufs == pytest.approx(-30, abs=0.2)


def test_an_empty_prompt_takes_the_sentence_of_its_task(node, loaded):
    def tokens(text, task):
        made = node("AudioXEncodeText", conditioners=loaded.conditioners, text=text, task=task)
        return made[0][0]

    generic = tokens("", "sound effects")
    assert torch.equal(generic, tokens("Generate general audio for the video", "none"))
    assert not torch.equal(generic, tokens("", "music"))
    assert torch.equal(tokens("rain", "music"), tokens("rain", "none"))


def video_of(path):
    from comfy_api.latest import InputImpl

    return InputImpl.VideoFromFile(str(path))


def test_a_file_and_its_frames_give_the_same_features(node, loaded, clips):
    def features(**source):
        found, seconds = node("AudioXEncodeVideo", conditioners=loaded.conditioners, **source)
        assert seconds == 10
        return found.tokens

    video = video_of(clips / "bikes.mp4")
    of_file = features(video=video)
    with av.open(str(clips / "bikes.mp4")) as source:
        frames = [torch.from_numpy(f.to_ndarray(format="rgb24")) for f in source.decode(video=0)]
    assert torch.equal(of_file, features(images=torch.stack(frames) / 255, fps=25.0))
    images, _, fps = node("GetVideoComponents", video=video)[:3]
    # newer ComfyUI converts colours in floating point: nearly the same pictures
    near = torch.cosine_similarity(of_file, features(images=images, fps=fps), dim=-1)
    assert near.mean() > 0.98


def test_a_video_is_not_decoded_whole(node, loaded, clips, monkeypatch):
    video = video_of(clips / "bikes.mp4")
    monkeypatch.setattr(type(video), "get_components", lambda *_: pytest.fail("decoded whole"))
    node("AudioXEncodeVideo", conditioners=loaded.conditioners, video=video)


def test_a_pending_trim_is_honoured(node, loaded, clips):
    video = video_of(clips / "bikes.mp4")
    if not hasattr(video, "as_trimmed"):
        pytest.skip("this ComfyUI does not trim videos")
    trimmed = video.as_trimmed(2.0, 4.0)
    cut, seconds = node("AudioXEncodeVideo", conditioners=loaded.conditioners, video=trimmed)
    piece, length = node("AudioXEncodeVideo", conditioners=loaded.conditioners, video=video,
                         start=2.0, length=4.0)  # fmt: skip
    assert seconds == length == 4
    torch.testing.assert_close(cut.tokens, piece.tokens)


def test_a_soundtrack_keeps_the_picture(node, clips):
    video = video_of(clips / "bikes.mp4")
    audio = {"waveform": 0.1 * torch.randn(1, 2, 441_000), "sample_rate": 44_100}
    made = node("AudioXSoundtrack", video=video, audio=audio)

    def packets(source):
        with av.open(str(source)) as container:
            return [bytes(p) for p in container.demux(video=0) if p.size]

    assert packets(made.get_stream_source()) == packets(clips / "bikes.mp4")
    parts = node("GetVideoComponents", video=made)
    assert parts[1]["sample_rate"] == 44_100


def test_frames_made_in_the_graph_get_a_soundtrack_too(node):
    images = torch.rand(16, 32, 48, 3)
    audio = {"waveform": 0.1 * torch.randn(1, 1, 16_000), "sample_rate": 16_000}
    made = node("AudioXSoundtrack", video=node("CreateVideo", images=images, fps=16.0), audio=audio)
    assert made.get_components().images.shape == images.shape
    assert made.get_components().audio["waveform"].shape[1] == 2


def test_the_original_sound_is_mixed_under_the_new(node, clips):
    images = torch.rand(16, 32, 48, 3)
    old = {"waveform": torch.full((1, 2, 16_000), 0.5), "sample_rate": 16_000}
    new = {"waveform": torch.zeros(1, 2, 16_000), "sample_rate": 16_000}
    video = node("CreateVideo", images=images, fps=16.0, audio=old)
    made = node("AudioXSoundtrack", video=video, audio=new, mix_original=True, original_db=-6.0)
    assert made.get_components().audio["waveform"].mean() == pytest.approx(0.25, abs=0.01)


def test_an_image_and_an_audio_prompt_change_the_result(node, loaded, branches):
    picture = node(
        "AudioXEncodeImage", conditioners=loaded.conditioners, image=torch.rand(1, 90, 160, 3)
    )
    sound = {"waveform": torch.randn(1, 1, 48_000), "sample_rate": 48_000}
    heard = node("AudioXEncodeAudio", conditioners=loaded.conditioners, vae=loaded.vae, audio=sound)
    plain, _ = branches()
    positive, negative = branches(video=picture, audio=heard)
    assert positive[0][0].shape == plain[0][0].shape == negative[0][0].shape
    assert not torch.equal(positive[0][0], plain[0][0])
    absent, _ = branches(video=picture, audio=heard, video_strength=0.0, audio_strength=0.0)
    assert torch.equal(absent[0][0], plain[0][0])
    assert not negative[0][0].any()


def test_the_last_ten_seconds_are_the_prompt(node, loaded):
    sound = torch.randn(1, 2, 15 * 44_100, generator=torch.Generator().manual_seed(0))

    def features(waveform, **where):
        audio = {"waveform": waveform, "sample_rate": 44_100}
        return node("AudioXEncodeAudio", conditioners=loaded.conditioners, vae=loaded.vae,
                    audio=audio, **where).tokens  # fmt: skip

    assert torch.equal(features(sound, start=-10.0), features(sound[..., 5 * 44_100 :]))


def test_repair_keeps_the_known_samples(node, loaded, branches):
    sound = 0.2 * torch.randn(1, 2, 6 * 44_100, generator=torch.Generator().manual_seed(0))
    audio = {"waveform": sound, "sample_rate": 44_100}
    latent, seconds, _ = node("AudioXInpaintLatent", vae=loaded.vae, audio=audio,
                           regenerate="2.0-3.5", extend_after=1.0)  # fmt: skip
    assert seconds == 7
    positive, negative = branches()
    made = node("AudioXSampler", model=loaded.model, positive=positive, negative=negative,
                latent_image=latent, steps=3)  # fmt: skip
    free = made["samples"] != latent["samples"]
    frames = free.any(dim=1)[0].nonzero().flatten() * 2048 / 44_100
    assert frames.min() >= 1.9
    assert not ((frames > 3.6) & (frames < 5.8)).any()
    out = node("AudioXDecode", vae=loaded.vae, latent=made)["waveform"]
    assert out.shape[-1] == 7 * 44_100
    kept = torch.ones(7 * 44_100, dtype=torch.bool)
    kept[2 * 44_100 : int(3.5 * 44_100)] = False
    kept[int(5.9 * 44_100) :] = False  # the crossfade to the extension
    assert torch.equal(out[0][:, kept], torch.nn.functional.pad(sound[0], (0, 44_100))[:, kept])
    assert not torch.equal(
        out[0][:, ~kept], torch.nn.functional.pad(sound[0], (0, 44_100))[:, ~kept]
    )


def test_extending_before_moves_the_sound_back(node, loaded):
    sound = torch.randn(1, 1, 44_100, generator=torch.Generator().manual_seed(0)) * 0.1
    given = audio(sound, 44_100)
    latent, seconds, _ = node("AudioXInpaintLatent", vae=loaded.vae, **given, extend_before=2.0)
    assert seconds == 3
    known = latent["audiox_init"].waveform
    assert not known[:, : 2 * 44_100].any()
    assert torch.equal(known[0, 2 * 44_100 :], sound[0, 0])


def audio(waveform, sample_rate=9_000):
    return {"audio": {"waveform": waveform, "sample_rate": sample_rate}}


SECOND, NOTHING = torch.rand(1, 2, 9_000), torch.zeros(1, 2, 0)
BROKEN = torch.full((1, 1, 9), float("nan"))
FRAMES = torch.rand(4, 8, 8, 3)
BAD = {
    "no rate": ("AudioXEncodeVideo", {"images": FRAMES}, "set fps"),
    "nothing": ("AudioXEncodeVideo", {}, "either a video or images"),
    "late": ("AudioXEncodeVideo", {"images": FRAMES, "fps": 4.0, "start": 5.0}, "earlier start"),
    "NaN": ("AudioXEncodeAudio", audio(BROKEN), "NaN"),
    "no sound": ("AudioXEncodeAudio", {"audio": None}, "no audio track"),
    "no samples": ("AudioXEncodeAudio", audio(NOTHING), "at least one sample"),
    "late sound": ("AudioXEncodeAudio", {**audio(SECOND), "start": 5.0}, "earlier start"),
    "mask": ("AudioXEncodeAudio", {**audio(SECOND), "time_mask": "two"}, "not a time range"),
    "nothing regenerated": ("AudioXInpaintLatent", audio(SECOND), "nothing to regenerate"),
    "late part": ("AudioXInpaintLatent", {**audio(SECOND), "regenerate": "4-5"}, "audio ends at"),
    "empty prompt": ("AudioXEncodeAudio", {**audio(SECOND), "length": 0.0}, "must be 0.1 to 600"),
    "no pixels": ("AudioXEncodeVideo", {"images": FRAMES[:, :0], "fps": 4.0}, "at least one"),
    "NaN video": ("AudioXEncodeVideo", {"images": FRAMES / 0 * 0, "fps": 4.0}, "contains NaN"),
    "NaN image": ("AudioXEncodeImage", {"image": FRAMES / 0 * 0}, "contains NaN"),
    "no seconds": ("AudioXEmptyLatent", {"seconds": 0.0}, "must be 0.1 to 600"),
    "a day": ("AudioXEmptyLatent", {"seconds": 86_400.0}, "must be 0.1 to 600"),
    "no length": ("AudioXEmptyLatent", {"seconds": float("nan")}, "must be 0.1 to 600"),
    "no batch": ("AudioXEmptyLatent", {"batch_size": 0}, "number from 1 to 64"),
    "shortened": ("AudioXInpaintLatent", {**audio(SECOND), "extend_after": -1.0}, "TrimAudio"),
    "no items": ("AudioXDecode", {"latent": {"samples": torch.rand(0, 64, 8)}}, "AudioX latent is"),
    "foreign": ("VAEDecodeAudio", {"samples": {"samples": torch.rand(1, 8, 40)}}, "AudioX latent"),
    "image": ("AudioXDecode", {"latent": {"samples": torch.rand(1, 4, 8, 8)}}, "AudioX latent is"),
    "file": ("AudioXLoadModel", {"file": "gone.safetensors"}, "gone.safetensors is not in"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_invalid_input_raises_an_error_that_names_it(node, loaded, case):
    name, inputs, message = BAD[case]
    ours = node.classes.get(name)
    sockets = {socket.id for socket in ours.GET_SCHEMA().inputs} if ours else {"vae"}
    if "conditioners" in sockets:
        inputs = {"conditioners": loaded.conditioners, **inputs}
    if "vae" in sockets:
        inputs = {"vae": loaded.vae, **inputs}
    with pytest.raises(Exception, match=message) as caught:
        node(name, **inputs)
    assert "\n" not in str(caught.value)


def test_files_of_our_folder_are_listed_and_found(node, comfy, tmp_path):
    from audiox_core.checkpoint.checkpoint_file import EMBEDDED

    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "mine.safetensors").write_bytes(EMBEDDED.read_bytes())
    (tmp_path / "notes.txt").touch()
    comfy.folder_paths.add_model_folder_path("audiox", str(tmp_path))  # as extra_model_paths does
    socket = node.classes["AudioXLoadModel"].define_schema().inputs[0]
    assert socket.options[0] == "embedded"
    assert "sub/mine.safetensors" in socket.options
    assert not any("notes" in name for name in socket.options)
    assert node("AudioXLoadModel", file="sub/mine.safetensors").model.audiox.variant


def test_a_vae_in_a_file_of_its_own_is_loaded(node, comfy, loaded, tmp_path):
    from safetensors.torch import load_file

    from audiox_core.checkpoint.checkpoint_file import EMBEDDED

    prefix = "pretransform.model."
    vae = {k.removeprefix(prefix): v for k, v in load_file(EMBEDDED).items() if prefix in k}
    torch.save({"state_dict": vae}, tmp_path / "VAE.ckpt")  # as the later models are released
    comfy.folder_paths.add_model_folder_path("audiox", str(tmp_path))
    alone = node("AudioXLoadVAE", file="VAE.ckpt")
    latent = {"samples": torch.randn(1, 64, 20, generator=torch.Generator().manual_seed(0))}
    first, second = (
        node("AudioXDecode", vae=v, latent=latent)["waveform"] for v in (loaded.vae, alone)
    )
    assert torch.equal(first, second)
    factory, args = alone.patcher.cached_patcher_init
    assert factory(*args, disable_dynamic=True).model is not alone.first_stage_model


def test_an_empty_latent_batch_is_refused(node, loaded, branches):
    positive, negative = branches()
    with pytest.raises(Exception, match="is empty: connect"):
        node("AudioXSampler", model=loaded.model, positive=positive, negative=negative,
             latent_image={"samples": torch.zeros(0, 64, 236)})  # fmt: skip


def test_decode_shows_the_levels_of_each_sound_and_that_a_latent_is_empty(node, loaded):
    latent = node("AudioXEmptyLatent", seconds=2.0, batch_size=2)
    node("AudioXDecode", vae=loaded.vae, latent=latent)
    first, second, empty = node.text.splitlines()
    assert first.startswith("1: ")
    assert second.startswith("2: ")
    assert empty == "the latent is empty: connect the output of a sampler"
    noise = torch.randn(1, 64, 236, generator=torch.Generator().manual_seed(0))
    node("AudioXDecode", vae=loaded.vae, latent={"samples": noise})
    assert "LUFS, range" in node.text
    assert "dB" in node.text
    assert "empty" not in node.text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("rain on a metal bell", ["6 of 32 tokens used"]),
        ("(rain:1.2)", ["tokens used", "Weights such as (rain:1.2) are read as text"]),
        ("applause", ["tokens used", "rarely or never contain: applause"]),
        ("rain " * 60, ["32 of 32 tokens used", "but the model reads 32: everything after"]),
    ],
)
def test_encode_text_shows_the_tokens_and_what_is_not_read(node, loaded, text, shown):
    node("AudioXEncodeText", conditioners=loaded.conditioners, text=text)
    lines = node.text.split("\n")
    assert len(lines) == len(shown)
    assert all(words in line for words, line in zip(shown, lines, strict=True))


def test_the_prompt_of_a_task_has_no_rare_words(node, loaded):
    node("AudioXEncodeText", conditioners=loaded.conditioners, text="", task="sound effects")
    assert node.text == "18 of 32 tokens used"


def test_encode_text_names_a_rare_word_once(node, loaded):
    node("AudioXEncodeText", conditioners=loaded.conditioners, text="applause, applause")
    assert "contain: applause. Use" in node.text
