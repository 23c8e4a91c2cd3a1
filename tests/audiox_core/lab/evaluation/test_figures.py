"""Accuracy beside its two baselines."""

from audiox_core.lab.evaluation.figures import class_figures, share_equal, with_baselines


def test_the_share_of_equal_pairs():
    assert share_equal(["a", "b", "c", "d"], ["a", "b", "c", "x"]) == 0.75


def test_targets_are_shifted_by_one_and_cut_to_the_untrained_predictions():
    kinds = with_baselines(["p", "q", "r"], ["u"], ["a", "b", "c"])
    assert kinds == [
        ("", ["p", "q", "r"], ["a", "b", "c"]),
        ("_shuffled", ["p", "q", "r"], ["b", "c", "a"]),
        ("_untrained", ["u"], ["a"]),
    ]


def test_accuracy_is_counted_in_all_by_class_and_by_mistake():
    targets = ["bell", "bell", "rain", "wind"]
    figures = class_figures("text", ["bell", "rain", "rain", "rain"], ["bell", "wind"], targets)
    assert figures["text.accuracy"] == 0.5
    assert figures["text.by_class"] == {"bell": 0.5, "rain": 1.0, "wind": 0.0}
    assert figures["text.accuracy_untrained"] == 0.5
    assert figures["text.mistaken"] == {"bell as rain": 1, "wind as rain": 1}
