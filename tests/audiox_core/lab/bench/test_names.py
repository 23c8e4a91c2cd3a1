"""The names of the cases."""

from audiox_core.lab.bench.cases import groups
from audiox_core.lab.bench.names import NAMES


def test_every_name_but_that_of_synchformer_is_a_case_of_the_embedded_model(checkpoint):
    made = [group.name for group in groups(checkpoint, steps=1)]
    assert made == [name for name in NAMES if name != "encode sync"]
