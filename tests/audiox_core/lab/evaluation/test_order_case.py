"""Order and count under evaluation."""

from itertools import pairwise
from types import SimpleNamespace

import pytest
import torch

pytest.importorskip("PIL", reason="no Pillow: pip install pillow")

from audiox_core.analysis.onsets import onset_times
from audiox_core.lab.effects.captions import WORDS
from audiox_core.lab.effects.labels import EVENT_LABELS
from audiox_core.lab.evaluation import order_case as module
from audiox_core.lab.evaluation.clips import SECONDS
from audiox_core.lab.evaluation.models_under_test import Sizes
from audiox_core.lab.evaluation.order_case import HALF, MOST, ORDERED, Order, judge, order

RATE = 16_000
TONES = {"dog": 400.0, "drum": 3_000.0}  # Hz: a tone stands for a class
ASKED = Order(("dog", "drum"), (2, 1), "two dog barks, then a drum beat")


def tones(*events: tuple[str, float]) -> torch.Tensor:
    """A short tone of a class at each time in seconds."""
    sound = torch.zeros(2, round(SECONDS * RATE))
    t = torch.arange(round(0.2 * RATE)) / RATE
    for label, time in events:
        start = round(time * RATE)
        one = torch.exp(-20 * t) * torch.sin(2 * torch.pi * TONES[label] * t)
        sound[:, start : start + t.numel()] = one
    return sound


def lowest_or_highest(sound: torch.Tensor, _rate: int) -> str:
    power = torch.fft.rfft(sound[0]).abs().square()
    bins = round(1_000 / RATE * sound.shape[-1])
    return "dog" if power[:bins].sum() > power[bins:].sum() else "drum"


BY_TONE = SimpleNamespace(label=lowest_or_highest)


@pytest.mark.parametrize(
    ("events", "count", "order_right", "right"),
    [
        ((("dog", 1.0), ("dog", 2.0), ("drum", 6.0)), True, True, True),
        ((("dog", 1.0), ("drum", 6.0)), False, True, False),
        ((("dog", 1.0), ("drum", 5.0), ("drum", 6.0)), True, True, False),
        ((("drum", 1.0), ("dog", 5.0), ("dog", 6.0)), True, False, False),
        ((("dog", 1.0), ("dog", 4.0), ("drum", 5.0)), True, False, True),
        ((("dog", 1.0),), False, False, False),
    ],
    ids=["right", "one less", "other counts", "reversed", "large gap in a group", "one sound"],
)
def test_count_and_classes_are_judged(events, count, order_right, right):
    found = judge(tones(*events), RATE, ASKED, BY_TONE)
    assert (found.count, found.order) == (count, order_right)
    assert found.right is right


def test_orders_differ_and_fit_into_their_halves():
    orders = [order(number) for number in range(60)]
    assert set(ORDERED) < set(EVENT_LABELS)
    assert order(3) == orders[3]
    assert {label for item in orders for label in item.labels} == set(ORDERED)
    assert {count for item in orders for count in item.counts} == {*range(1, MOST + 1)}
    for seed, item in enumerate(orders):
        first, second = item.labels
        assert first != second
        assert item.prompt != ""
        parts = item.scene(seed).parts
        assert tuple(part.label for part in parts) == item.labels
        assert tuple(len(part.events) for part in parts) == item.counts
        times = [[event.time for event in part.events] for part in parts]
        assert 0 < times[0][0] <= times[0][-1] < HALF < times[1][0] <= times[1][-1] < SECONDS
        assert all(b - a > 0.7 for group in times for a, b in pairwise(group))


def test_prompts_name_both_sounds_in_order():
    for item in map(order, range(20)):
        nouns = [
            (WORDS[label].many if count > 1 else WORDS[label].one.partition(" ")[2])
            for label, count in zip(item.labels, item.counts, strict=True)
        ]
        assert -1 < item.prompt.find(nouns[0]) < item.prompt.rfind(nouns[1])


@pytest.mark.usefixtures("effects")
@pytest.mark.parametrize("number", range(3))
def test_renders_have_the_asked_count(number):
    item = order(number)
    (sound,) = module.rendered([item], RATE)
    assert len(onset_times(sound, RATE)) == sum(item.counts)


def test_a_model_that_follows_its_prompts_is_right(monkeypatch):
    sound = tones(("dog", 1.0), ("dog", 2.0), ("drum", 6.0))
    monkeypatch.setattr(module, "order", lambda _number: ASKED)
    monkeypatch.setattr(module, "rendered", lambda asked, _rate: [sound for _ in asked])

    def generate(request, pipeline):
        assert request.prompt == ASKED.prompt
        return sound if pipeline == "trained" else tones(("drum", 1.0))

    models = SimpleNamespace(
        sizes=Sizes(order=3, untrained=2),
        rate=RATE,
        generate=generate,
        trained="trained",
        untrained="untrained",
    )
    figures = module.order_case(models, BY_TONE)
    assert figures["order.prompts"] == 3
    for name in ("right", "order_right", "count_right"):
        assert figures[f"order.{name}"] == figures[f"order.{name}_of_renders"] == 1
        assert figures[f"order.{name}_untrained"] == 0
