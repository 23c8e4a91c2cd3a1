"""What every owner of modules shares."""

import pytest
import torch

from audiox_core.conditioners.host import ModelHost
from audiox_core.conditioners.missing_module import MissingModule
from audiox_core.errors import WeightsError


def test_a_checkpoint_hands_out_its_own_modules(checkpoint):
    assert checkpoint.use("vae") is checkpoint.vae
    assert checkpoint.use("video") is checkpoint.conditioners.video
    assert checkpoint.device_of("audio") == torch.device("cpu")


def test_a_module_that_was_not_found_is_refused_when_it_is_used(checkpoint):
    conditioners = checkpoint.conditioners
    text = MissingModule("get T5-base")
    blind = type(conditioners)(text, conditioners.video, conditioners.audio)
    host = type(checkpoint)(blind, checkpoint.backbone, checkpoint.vae, checkpoint.config, "path")
    with pytest.raises(WeightsError, match="get T5-base"):
        host.use("text")


def test_the_tokens_of_no_audio_prompt_are_computed_once(checkpoint):
    class Host(ModelHost):
        config, conditioners = checkpoint.config, checkpoint.conditioners
        kept = 0

        def use(self, name):
            raise AssertionError(f"v1 has learned tokens: {name} is not needed")

        def keep(self, tokens):
            self.kept += 1
            return tokens

    host = Host()
    assert host.absent_audio is host.absent_audio
    assert torch.equal(host.absent_audio, checkpoint.conditioners.audio.empty_audio_feat)
    assert host.kept == 1
