"""The baseline: the same model before training."""

import torch

from audiox_core.lab.evaluation.untrained import untrained


def test_the_untrained_baseline_has_other_weights_but_the_same_vae(checkpoint):
    other = untrained(checkpoint)
    x, t = torch.ones(1, 64, 8), torch.ones(1)
    assert not torch.allclose(other.backbone(x, t), checkpoint.backbone(x, t))
    assert other.vae is checkpoint.vae
    tokens = [c.conditioners.text.encode(["rain"]) for c in (other, checkpoint)]
    assert not torch.allclose(*tokens)
