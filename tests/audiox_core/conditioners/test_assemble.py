from types import SimpleNamespace

import pytest
import torch

from audiox_core import assemble, encode_text
from audiox_core.conditioners import assemble as assembling


@pytest.fixture
def parts(checkpoint, seeded):
    with torch.no_grad():
        return {
            "text": encode_text(checkpoint.conditioners.text, "rain"),
            "video": torch.randn(1, 128, 64, generator=seeded),
            "audio": torch.randn(1, 215, 64, generator=seeded),
        }


@pytest.fixture
def join(checkpoint):
    def run(**parts):
        with torch.no_grad():
            return assemble(checkpoint.conditioners, **parts)

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
        empty = encode_text(checkpoint.conditioners.text, "")
    assert torch.equal(join(video=parts["video"]).positive[:, 128:256], empty)


@pytest.mark.parametrize("name", ["text", "video", "audio"])
def test_strength_0_is_absence_and_1_presence(join, parts, name):
    others = {k: v for k, v in parts.items() if k != name}
    assert torch.equal(join(**parts, **{f"{name}_strength": 0.0}).positive, join(**others).positive)
    assert torch.equal(join(**parts, **{f"{name}_strength": 1.0}).positive, join(**parts).positive)


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


def test_the_fusion_takes_text_first_then_video_then_audio(seeded):
    """The order that it was trained with, in its slots and in what it returns."""
    video, text, audio = (torch.randn(1, 2, 4, generator=seeded) for _ in range(3))
    slots = []

    def maf(*parts):
        slots.extend(parts)
        return tuple(2 * part for part in parts)

    fused = assembling.fuse(maf, video=video, text=text, audio=audio)
    assert [part.tolist() for part in slots] == [p.tolist() for p in (text, video, audio)]
    assert torch.equal(fused, 2 * torch.cat([text, video, audio], dim=1))


def test_a_negative_prompt_is_fused_with_absent_video_and_audio(seeded):
    video, text, negative, audio, no_video, no_audio = (
        torch.randn(1, 2, 4, generator=seeded) for _ in range(6)
    )

    def maf(*parts):
        return parts

    maf.unified_experts = torch.zeros(1)
    conditioners = SimpleNamespace(
        text=None,
        video=SimpleNamespace(empty_visual_feat=no_video),
        audio=SimpleNamespace(absent=lambda: no_audio),
        maf=maf,
    )
    made = assemble(conditioners, text=text, video=video, audio=audio, negative=negative)
    assert torch.equal(made.positive, torch.cat([text, video, audio], dim=1))
    assert torch.equal(made.negative, torch.cat([negative, no_video, no_audio], dim=1))
