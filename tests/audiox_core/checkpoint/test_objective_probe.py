"""What a backbone answers to pure noise tells what it was trained to predict."""

import pytest
import torch

from audiox_core.checkpoint import objective_probe
from audiox_core.checkpoint.objective_probe import noise_share, objective_of, probe_objective
from audiox_core.checkpoint.weight_file import WeightFile
from audiox_core.config import AudioXConfig
from audiox_core.errors import WeightsError


@pytest.fixture
def answering(monkeypatch, tmp_path):
    """A file whose backbone answers `share` times the noise, plus a constant."""

    def make(share):
        def model(noise, t):
            assert torch.equal(t, torch.ones(1))
            return share * noise + 0.3

        monkeypatch.setattr(objective_probe, "check_layout", lambda *_: None)
        monkeypatch.setattr(objective_probe, "load_module", lambda *_, **__: model)
        return WeightFile(tmp_path / "model.ckpt", {})

    return make


@pytest.mark.parametrize(
    ("share", "objective"),
    [(0.0, "v"), (0.45, "v"), (0.55, "rectified_flow"), (1.0, "rectified_flow")],
)
def test_the_share_of_the_noise_in_the_answer_decides(answering, share, objective):
    file = answering(share)
    assert noise_share(file, AudioXConfig()) == pytest.approx(share, abs=0.02)
    assert probe_objective(file, AudioXConfig()) == objective


def test_the_threshold_is_half():
    assert (objective_of(0.5), objective_of(0.51)) == ("v", "rectified_flow")


def test_a_backbone_that_is_not_whole_is_not_loaded(tmp_path):
    with pytest.raises(WeightsError, match="is not a complete AudioX model"):
        noise_share(WeightFile(tmp_path / "model.ckpt", {}), AudioXConfig())
