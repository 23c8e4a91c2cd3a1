import pytest
import torch

from audiox_core import Features, Strengths, assemble, encode_text


@pytest.fixture
def parts(checkpoint, seeded):
    with torch.no_grad():
        return {
            "text": encode_text(checkpoint, "rain"),
            "video": torch.randn(1, 128, 64, generator=seeded),
            "audio": torch.randn(1, 215, 64, generator=seeded),
        }


@pytest.fixture
def join(checkpoint):
    def run(strengths=Strengths(), **parts):
        for kind in ("video", "audio"):
            if kind in parts:
                parts[kind] = Features(kind, parts[kind], checkpoint.variant)
        with torch.no_grad():
            return assemble(checkpoint, strengths=strengths, **parts)

    return run


def test_the_order_is_video_text_audio(join, parts):
    tokens = join(**parts).positive
    assert tokens.shape == (1, 471, 64)
    for begin, name in ((0, "video"), (128, "text"), (256, "audio")):
        assert torch.equal(tokens[:, begin : begin + parts[name].shape[1]], parts[name])


def test_what_is_absent_is_what_the_model_learned(join, parts, checkpoint):
    tokens = join(text=parts["text"]).positive
    assert torch.equal(tokens[:, :128], checkpoint.conditioners.video.empty_visual_feat)
    assert torch.equal(tokens[:, 256:], checkpoint.conditioners.audio.empty_audio_feat)
    with torch.no_grad():
        empty = encode_text(checkpoint, "")
    assert torch.equal(join(video=parts["video"]).positive[:, 128:256], empty)


@pytest.mark.parametrize("name", ["text", "video", "audio"])
def test_strength_0_is_absence_and_1_presence(join, parts, name):
    others = {k: v for k, v in parts.items() if k != name}
    absent, present = (join(**parts, strengths=Strengths(**{name: s})) for s in (0.0, 1.0))
    assert torch.equal(absent.positive, join(**others).positive)
    assert torch.equal(present.positive, join(**parts).positive)


def test_without_a_negative_prompt_the_null_branch_is_zero(join, parts):
    conditioning = join(**parts)
    assert conditioning.negative.shape == conditioning.positive.shape
    assert not conditioning.negative.any()


def test_a_negative_prompt_stands_between_zero_rows(join, parts):
    negative = join(**parts, negative=parts["text"]).negative
    assert torch.equal(negative[:, 128:256], parts["text"])
    assert not negative[:, :128].any()
    assert not negative[:, 256:].any()


def test_text_serves_every_window(join, parts, seeded):
    video = torch.randn(3, 128, 64, generator=seeded)
    conditioning = join(text=parts["text"], video=video)
    windows = conditioning.positive.view(3, 471, 64)
    assert conditioning.windows == 3
    assert torch.equal(windows[:, :128], video)
    assert torch.equal(windows[:, 128:256], parts["text"].expand(3, -1, -1))
