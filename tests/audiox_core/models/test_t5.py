"""The T5 encoder gives the numbers of transformers, and reads its weights."""

import math

import pytest
import torch

from audiox_core.config import TextConfig
from audiox_core.models.t5 import T5Encoder, relative_buckets

SIZES = {"vocab_size": 40, "width": 24, "depth": 2, "heads": 3, "head_dim": 8, "ff_width": 32}


@pytest.mark.parametrize("gated", [False, True])
def test_hidden_states_are_those_of_transformers(gated, seeded):
    transformers = pytest.importorskip("transformers")
    config = transformers.T5Config(
        vocab_size=40, d_model=24, d_kv=8, d_ff=32, num_layers=2, num_heads=3,
        feed_forward_proj="gated-gelu" if gated else "relu",
    )  # fmt: skip
    with torch.random.fork_rng():
        theirs = transformers.T5EncoderModel(config).eval()
        ours = T5Encoder(TextConfig(**SIZES, gated=gated))
    layout = {name: tensor.shape for name, tensor in ours.state_dict().items()}
    state = {name: torch.randn(shape, generator=seeded) / 4 for name, shape in layout.items()}
    missing = theirs.load_state_dict(state, strict=False)
    assert not missing.unexpected_keys
    assert set(missing.missing_keys) <= {"encoder.embed_tokens.weight"}  # the shared one
    ours.load_state_dict(state)
    ids = torch.randint(0, 40, (2, 30), generator=seeded)
    mask = torch.arange(30) < torch.tensor([[7], [30]])
    with torch.no_grad():
        expected = theirs(input_ids=ids, attention_mask=mask).last_hidden_state
        torch.testing.assert_close(ours(ids, mask)[mask], expected[mask], atol=1e-5, rtol=1e-5)


def test_distances_share_buckets_that_grow_logarithmically():
    buckets = relative_buckets(200, TextConfig())
    assert buckets[100, 100 - 7 : 101].tolist() == [7, 6, 5, 4, 3, 2, 1, 0]
    assert buckets[100, 101:108].tolist() == [17, 18, 19, 20, 21, 22, 23]
    # 8 + floor(8 log(20 / 8) / log(128 / 8)) = 10
    assert buckets[100, 80] == 8 + math.floor(8 * math.log(20 / 8) / math.log(16)) == 10
    assert buckets[199, 0] == 15
    assert buckets[0, 199] == 31
