"""Captioners of every build that transformers has, made on the fly with random weights."""

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers

from audiox_core.errors import SettingsError
from audiox_core.training import captioner
from audiox_core.training.captioner import Captioner, CaptionerError

transformers = pytest.importorskip("transformers")
pytest.importorskip("PIL")

WORDS = ["[PAD]", "[CLS]", "[SEP]", "[UNK]", "a", "dog", "barks", "rain", "on", "<image>"]
SMALL = {"hidden_size": 16, "intermediate_size": 32, "num_attention_heads": 2}
EYE = SMALL | {"num_hidden_layers": 2, "image_size": 32, "patch_size": 16}
ENDS = {"vocab_size": len(WORDS), "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}
CHAT = (
    "{% for m in messages %}{% for c in m['content'] %}"
    "{{ '<image>' if c['type'] == 'image' else c['text'] }}{% endfor %}{% endfor %}"
)


def tokenizer():
    words = Tokenizer(models.WordLevel({w: i for i, w in enumerate(WORDS)}, unk_token="[UNK]"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=words, pad_token="[PAD]", cls_token="[CLS]", sep_token="[SEP]",
        unk_token="[UNK]", bos_token="[CLS]", eos_token="[SEP]",
        additional_special_tokens=["<image>"],
    )  # fmt: skip


def blip(folder):
    text = SMALL | ENDS | {"num_hidden_layers": 1, "encoder_hidden_size": 16, "sep_token_id": 2}
    config = transformers.BlipConfig(vision_config=EYE, text_config=text)
    transformers.BlipForConditionalGeneration(config).save_pretrained(folder)
    pictures = transformers.BlipImageProcessor(size={"height": 32, "width": 32})
    transformers.BlipProcessor(pictures, tokenizer()).save_pretrained(folder)


def encoder_decoder(folder):
    """As vit-gpt2-image-captioning: without a processor of both."""
    decoder = transformers.GPT2Config(
        n_embd=16, n_layer=1, n_head=2, add_cross_attention=True, **ENDS
    )
    config = transformers.VisionEncoderDecoderConfig.from_encoder_decoder_configs(
        transformers.ViTConfig(**EYE), decoder
    )
    model = transformers.VisionEncoderDecoderModel(config)
    model.generation_config.update(decoder_start_token_id=1, pad_token_id=0, eos_token_id=2)
    model.save_pretrained(folder)
    transformers.ViTImageProcessor(size={"height": 32, "width": 32}).save_pretrained(folder)
    tokenizer().save_pretrained(folder)


def chat(folder):
    config = transformers.LlavaConfig(
        vision_config=transformers.CLIPVisionConfig(**EYE),
        text_config=transformers.LlamaConfig(
            num_hidden_layers=1, num_key_value_heads=2, **SMALL, **ENDS
        ),
        image_token_index=9,
    )
    transformers.LlavaForConditionalGeneration(config).save_pretrained(folder)
    pictures = transformers.CLIPImageProcessor(
        size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}
    )
    transformers.LlavaProcessor(
        pictures, tokenizer(), patch_size=16, vision_feature_select_strategy="default",
        chat_template=CHAT, image_token="<image>", num_additional_image_tokens=1,
    ).save_pretrained(folder)  # fmt: skip


@pytest.fixture(scope="module", params=[blip, encoder_decoder, chat], ids=lambda f: f.__name__)
def folder(request, tmp_path_factory):
    pytest.importorskip("torchvision", reason="transformers makes picture processors with it")
    path = tmp_path_factory.mktemp(request.param.__name__)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        request.param(path)
    return str(path)


@pytest.fixture
def picture(seeded):
    return torch.randint(0, 255, (3, 40, 60), dtype=torch.uint8, generator=seeded)


@pytest.mark.parametrize("question", [None, "a dog"])
def test_a_captioner_is_deterministic(folder, picture, question, monkeypatch):
    monkeypatch.setattr(captioner, "NEW_TOKENS", 5)
    first, second = (Captioner(folder, question=question)(picture) for _ in range(2))
    assert first == second
    assert set(first.split()) <= set(WORDS)


def test_a_folder_without_a_captioner_says_what_it_needs(tmp_path):
    with pytest.raises(CaptionerError, match="cannot be loaded as a captioner"):
        Captioner(str(tmp_path))


def test_a_missing_path_is_not_requested_from_the_hub(tmp_path):
    with pytest.raises(SettingsError, match="There is no folder"):
        Captioner(str(tmp_path / "none"))


def test_a_name_without_a_connection_is_one_clear_line(monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr(captioner, "_hub_answers", lambda model: False)
    with pytest.raises(CaptionerError, match="the hub did not provide it"):
        Captioner("nobody/nothing")
