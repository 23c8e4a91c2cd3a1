import pytest
import torch

from audiox_core import Features, Strengths, assemble, encode_text
from audiox_core.conditioners.assemble import assemble_tokens, fuse

FULL = Strengths()


@pytest.fixture
def parts(toy_checkpoint, seeded):
    with torch.no_grad():
        return {
            "text": encode_text(toy_checkpoint, "rain"),
            "video": torch.randn(1, 128, 64, generator=seeded),
            "audio": torch.randn(1, 215, 64, generator=seeded),
        }


@pytest.fixture
def join(toy_checkpoint):
    def run(strengths=FULL, **parts):
        for kind in ("video", "audio"):
            if kind in parts:
                parts[kind] = Features(kind, parts[kind], toy_checkpoint.variant)
        with torch.no_grad():
            return assemble(toy_checkpoint, strengths=strengths, **parts)

    return run


def test_tokens_are_joined_in_the_order_video_text_audio(join, parts):
    tokens = join(**parts).positive
    assert tokens.shape == (1, 471, 64)
    for begin, name in ((0, "video"), (128, "text"), (256, "audio")):
        assert torch.equal(tokens[:, begin : begin + parts[name].shape[1]], parts[name])


def test_an_absent_modality_uses_the_learned_absent_tokens(join, parts, toy_checkpoint):
    tokens = join(text=parts["text"]).positive
    assert torch.equal(tokens[:, :128], toy_checkpoint.conditioners.video.empty_visual_feat)
    assert torch.equal(tokens[:, 256:], toy_checkpoint.conditioners.audio.empty_audio_feat)
    with torch.no_grad():
        empty = encode_text(toy_checkpoint, "")
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


def test_a_negative_prompt_lies_between_zero_rows_of_video_and_audio(join, parts):
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


def test_the_fusion_reads_text_then_video_then_audio(seeded):
    """The order that it was trained with, in its slots and in what it returns."""
    video, text, audio = (torch.randn(1, 2, 4, generator=seeded) for _ in range(3))
    slots = []

    def maf(*parts):
        slots.extend(parts)
        return tuple(2 * part for part in parts)

    fused = fuse(maf, video=video, text=text, audio=audio)
    assert [part.tolist() for part in slots] == [p.tolist() for p in (text, video, audio)]
    assert torch.equal(fused, 2 * torch.cat([text, video, audio], dim=1))


def test_a_negative_prompt_is_fused_with_absent_video_and_audio(seeded):
    names = ("text", "video", "audio")
    present, absent = (
        {name: torch.randn(1, 2, 4, generator=seeded) for name in names} for _ in range(2)
    )
    negative = torch.randn(1, 2, 4, generator=seeded)
    full = dict.fromkeys(names, 1.0)
    slots = lambda *parts: parts  # noqa: E731
    made = assemble_tokens(present, absent, full, negative=negative, maf=slots)
    assert torch.equal(made.positive, torch.cat([present[name] for name in names], dim=1))
    expected = torch.cat([negative, absent["video"], absent["audio"]], dim=1)
    assert torch.equal(made.negative, expected)


def test_each_modality_has_a_strength_of_its_own(seeded):
    absent = {"video": 0.0, "text": 10.0, "audio": 20.0}
    absent = {name: torch.full((1, 1, 1), value) for name, value in absent.items()}
    present = {name: tokens + 4 for name, tokens in absent.items()}
    strengths = {"video": 0.25, "text": 0.5, "audio": 0.75}
    made = assemble_tokens(present, absent, strengths)
    assert made.positive.flatten().tolist() == [1.0, 12.0, 23.0]
