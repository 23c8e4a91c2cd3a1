"""Prepared conditions: computed once per run and device, one group of windows at a time."""

import torch

from audiox_core import windows
from audiox_core.config import LatentConfig
from audiox_core.models.dit import Context
from audiox_core.models.mmdit import Modulations
from audiox_core.pipeline.run_cache import RunCache, predict
from audiox_core.windows import plan_frames

CPU, META = torch.device("cpu"), torch.device("meta")


class CountingBackbone:
    """Prepares the sum of its tokens, and predicts it; counts what it prepares."""

    def __init__(self):
        self.prepared = []

    def no_tokens(self, like):
        return like.new_zeros(0, 1, 1)

    def prepare(self, tokens, rows):
        self.prepared.append((tokens[:, 0, 0].tolist(), rows))
        return [0.0 if row is None else tokens[row].sum().item() for row in rows]

    def __call__(self, x, t, prepared, _parts):
        return torch.tensor(prepared).view(-1, 1, 1).expand_as(x)


def tokens(*values):
    """One token per window."""
    return torch.tensor(values, dtype=torch.float32).view(-1, 1, 1)


class Asked:
    """Asks a cache for tensors of a size, and notes what had to be made."""

    def __init__(self, limit: int) -> None:
        self.cache, self.made = RunCache(limit), []

    def __call__(self, keys: str, size: int = 100) -> str:
        self.made = []
        for key in keys:
            self.cache.get(key, CPU, lambda key=key: self._make(key, size))
        return "".join(self.made)

    def _make(self, key: str, size: int) -> torch.Tensor:
        self.made.append(key)
        return torch.zeros(size, dtype=torch.uint8)


def test_every_group_of_a_run_is_prepared_once():
    asked = Asked(limit=1_000)
    assert asked("abcabcabc") == "abc"


def test_groups_beyond_the_limit_are_prepared_again_and_the_others_are_kept():
    asked = Asked(limit=250)
    assert asked("abcd" * 3) == "abcd" + "cd" * 2


def test_conditions_that_are_no_longer_used_make_room():
    asked = Asked(limit=250)
    asked("ab" * 3)
    assert asked("cd" * 4).count("c") <= 3
    assert asked("cd" * 4) == ""


def test_the_tensors_of_both_backbones_count():
    cache = RunCache(limit=100)
    for prepared in (
        Context([(torch.zeros(10), torch.zeros(10)), None]),
        Modulations([torch.zeros(20)]),
    ):
        made = []
        for _ in range(2):
            cache.get(type(prepared), META, lambda p=prepared, m=made: m.append(1) or p)
        assert len(made) == 1 + (isinstance(prepared, Modulations))  # 80 bytes each


def test_each_device_has_a_slot_of_its_own():
    cache, made = RunCache(), []
    for device in (CPU, META, CPU, META):
        cache.get("a", device, lambda device=device: made.append(device) or device)
    assert made == [CPU, META]
    cache.clear()
    cache.get("a", CPU, lambda: made.append("again"))
    assert made[-1] == "again"


def test_every_condition_is_prepared_once_and_null_ones_have_no_tokens():
    backbone, x = CountingBackbone(), torch.zeros(4, 1, 236)
    out = predict(
        backbone, x, torch.zeros(4), [tokens(5.0), None],
        plan=plan_frames(LatentConfig(), 236), cache=None, forward=backbone,
    )  # fmt: skip
    assert backbone.prepared == [([5.0], [0, 0, None, None])]
    assert out[:, 0, 0].tolist() == [5, 5, 0, 0]


def test_each_window_has_its_own_tokens_and_one_window_serves_all(monkeypatch):
    monkeypatch.setattr(windows, "CPU_ITEMS_AT_ONCE", 8)
    layout = plan_frames(LatentConfig(), 236 + 193)
    backbone, x = CountingBackbone(), torch.zeros(2, 1, layout.frames)
    out = predict(
        backbone,
        x,
        torch.zeros(2),
        [tokens(1.0, 2.0), tokens(7.0)],
        plan=layout,
        cache=None,
        forward=backbone,
    )
    assert backbone.prepared == [([1.0, 7.0, 2.0], [0, 1, 2, 1])]
    torch.testing.assert_close(out[0, 0, [0, -1]], torch.tensor([1.0, 2.0]))
    torch.testing.assert_close(out[1, 0], torch.full((layout.frames,), 7.0))


def test_a_run_prepares_once_unless_its_conditions_change():
    backbone, x, cache = CountingBackbone(), torch.zeros(1, 1, 236), RunCache()
    layout = plan_frames(LatentConfig(), 236)
    for key in ("a", "a", "b"):
        predict(
            backbone,
            x,
            torch.zeros(1),
            [tokens(1.0)],
            plan=layout,
            cache=cache,
            key=key,
            forward=backbone,
        )
    assert len(backbone.prepared) == 2


def test_a_condition_that_serves_every_window_is_prepared_once_for_groups_of_a_size(monkeypatch):
    monkeypatch.setattr(windows, "CPU_ITEMS_AT_ONCE", 8)
    backbone, cache = CountingBackbone(), RunCache()
    layout = plan_frames(LatentConfig(), 236 + 17 * 193)  # groups of 8, 8 and 2 windows
    for _ in range(3):
        predict(
            backbone,
            torch.zeros(1, 1, layout.frames),
            torch.zeros(1),
            [tokens(1.0)],
            plan=layout,
            cache=cache,
            forward=backbone,
        )
    assert [len(rows) for _, rows in backbone.prepared] == [8, 2]


def test_without_any_tokens_the_backbone_is_asked_for_none():
    backbone, x = CountingBackbone(), torch.zeros(2, 1, 236)
    layout = plan_frames(LatentConfig(), 236)
    out = predict(
        backbone, x, torch.zeros(2), [None, None], plan=layout, cache=None, forward=backbone
    )
    assert backbone.prepared == [([], [None, None])]
    assert not out.any()
