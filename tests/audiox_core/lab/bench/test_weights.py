"""Random checkpoints load and run as trained ones do."""

from dataclasses import replace

import torch

from audiox_core.checkpoint.checkpoint_file import EMBEDDED, load_checkpoint
from audiox_core.checkpoint.weight_file import open_weights
from audiox_core.config import AudioXConfig
from audiox_core.lab.bench.weights import write_random


def test_a_random_checkpoint_loads_and_runs(tmp_path):
    config = AudioXConfig.from_json(open_weights(EMBEDDED).header["audiox"])
    config = replace(config, dit=replace(config.dit, depth=1))
    write_random(tmp_path / "random.safetensors", config)
    loaded = load_checkpoint(tmp_path / "random.safetensors", device="cpu")
    assert len(loaded.backbone.transformer.layers) == 1
    assert loaded.vae.decode(torch.ones(1, 64, 2)).isfinite().all()
    assert loaded.conditioners.text.encode(["rain"]).isfinite().all()
