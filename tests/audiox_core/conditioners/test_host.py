"""What every owner of modules shares."""

import pytest
import torch

from audiox_core.conditioners.host import ModelHost, ReportingHost
from audiox_core.conditioners.missing_module import MissingModule
from audiox_core.errors import WeightsError


def test_a_checkpoint_hands_out_its_own_modules(toy_checkpoint):
    assert toy_checkpoint.use("vae") is toy_checkpoint.vae
    assert toy_checkpoint.use("video") is toy_checkpoint.conditioners.video
    assert toy_checkpoint.device_of("audio") == torch.device("cpu")


def test_a_module_that_was_not_found_is_refused_when_it_is_used(toy_checkpoint):
    conditioners = toy_checkpoint.conditioners
    text = MissingModule("get T5-base")
    blind = type(conditioners)(text, conditioners.video, conditioners.audio)
    host = type(toy_checkpoint)(
        blind, toy_checkpoint.backbone, toy_checkpoint.vae, toy_checkpoint.config, "path"
    )
    with pytest.raises(WeightsError, match="get T5-base"):
        host.use("text")


def test_the_tokens_of_no_audio_prompt_are_computed_once(toy_checkpoint):
    class Host(ModelHost):
        config, conditioners = toy_checkpoint.config, toy_checkpoint.conditioners
        kept = 0

        def use(self, name):
            raise AssertionError(f"v1 has learned tokens: {name} is not needed")

        def keep(self, tokens):
            self.kept += 1
            return tokens

    host = Host()
    assert host.absent_audio is host.absent_audio
    assert torch.equal(host.absent_audio, toy_checkpoint.conditioners.audio.empty_audio_feat)
    assert host.kept == 1


def test_a_reporting_host_passes_progress_on_and_shares_all_else(toy_checkpoint):
    seen = []
    host = ReportingHost(toy_checkpoint, seen.append)
    host.progress(0.25)
    assert seen == [0.25]
    assert host.use("vae") is toy_checkpoint.vae
    assert host.config is toy_checkpoint.config
    assert host.absent_audio is toy_checkpoint.absent_audio
