"""The cache: what was made is not made again, what cannot be used is listed."""

from dataclasses import dataclass, field

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from audiox_core.errors import MediaError, SettingsError
from audiox_core.training import features as module
from audiox_core.training.features import open_cache


@dataclass(frozen=True)
class Numbers:
    """Items that say their number; some cannot be made."""

    broken: tuple[int, ...] = ()
    made: list[int] = field(default_factory=list)

    def key(self) -> str:
        return "numbers"

    def open(self):
        return self.make

    def make(self, index):
        if index in self.broken:
            raise MediaError(f"clip {index} is broken")
        self.made.append(index)
        return {"number": torch.tensor([index]), "half": torch.tensor(index / 2)}, f"no {index}"


@pytest.fixture(autouse=True)
def small_shards(monkeypatch):
    monkeypatch.setattr(module, "SHARD", 4)


def test_items_come_back_with_their_captions(tmp_path):
    cache = open_cache(Numbers(), tmp_path, range(3, 13))
    assert [int(cache[i]["number"]) for i in range(len(cache))] == [*range(3, 13)]
    assert cache[4]["half"] == 3.5
    assert cache.captions[4] == "no 7"


def test_cached_items_are_not_made_again(tmp_path):
    open_cache(Numbers(), tmp_path, range(10))
    lost = sorted((tmp_path / "numbers").iterdir())[1]
    lost.unlink()  # a run that was killed did not come to it
    again = Numbers()
    assert len(open_cache(again, tmp_path, range(10))) == 10
    assert again.made == [4, 5, 6, 7]


def test_a_process_may_begin_in_the_middle_and_makes_all(tmp_path):
    maker = Numbers()
    cache = open_cache(maker, tmp_path, range(10), first=0.5)
    assert maker.made == [4, 5, 6, 7, 8, 9, 0, 1, 2, 3]
    assert [int(cache[i]["number"]) for i in range(len(cache))] == [*range(10)]


def test_an_interrupt_leaves_complete_shards_and_nothing_else(tmp_path):
    @dataclass(frozen=True)
    class Interrupted(Numbers):
        def make(self, index):
            if index == 6:
                raise KeyboardInterrupt
            return super().make(index)

    with pytest.raises(KeyboardInterrupt):
        open_cache(Interrupted(), tmp_path, range(10))
    assert [path.name for path in (tmp_path / "numbers").iterdir()] == ["000000-000003.safetensors"]
    again = Numbers()
    assert len(open_cache(again, tmp_path, range(10))) == 10
    assert again.made == [*range(4, 10)]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("captions", None),
        ("captions", '[[99, "of no tensor"]]'),
        ("captions", "[[0, 1]]"),
        ("captions", "[0]"),
        ("captions", "{"),
        ("skipped", "[[1]]"),
        ("skipped", '[["x", "why"]]'),
    ],
)
def test_a_shard_with_a_wrong_header_is_named(tmp_path, name, text):
    open_cache(Numbers(), tmp_path, range(4))
    (path,) = (tmp_path / "numbers").iterdir()
    with safe_open(path, framework="pt") as file:
        header = file.metadata()
    header.pop(name)
    save_file(load_file(path), path, header if text is None else header | {name: text})
    with pytest.raises(SettingsError, match=r"safetensors is damaged .*delete it"):
        open_cache(Numbers(), tmp_path, range(4))


def test_unusable_clips_are_counted_and_listed(tmp_path):
    cache = open_cache(Numbers(broken=(2, 5)), tmp_path, range(8))
    assert [int(cache[i]["number"]) for i in range(len(cache))] == [0, 1, 3, 4, 6, 7]
    assert cache.skipped == [
        (2, "clip 2 is broken"),
        (5, "clip 5 is broken"),
    ]


def test_a_source_without_usable_clips_is_refused(tmp_path):
    with pytest.raises(SettingsError, match=r"None of the 3 clips.*clip 0 is broken"):
        open_cache(Numbers(broken=(0, 1, 2)), tmp_path, range(3))


def test_several_processes_fill_a_cache(tmp_path):
    seen = []
    cache = open_cache(
        Numbers(), tmp_path, range(10), workers=2, on_progress=lambda *at: seen.append(at)
    )
    assert [int(cache[i]["number"]) for i in range(10)] == [*range(10)]
    assert seen[-1] == (10, 10)


def test_a_damaged_shard_is_named(tmp_path):
    open_cache(Numbers(), tmp_path, range(4))
    (shard,) = (tmp_path / "numbers").iterdir()
    shard.write_bytes(b"no shard")
    with pytest.raises(SettingsError, match=r"is damaged.*delete it"):
        open_cache(Numbers(), tmp_path, range(4))


def test_the_fingerprint_differs_between_clips(tmp_path):
    one, same, other = (
        open_cache(Numbers(), tmp_path / name, clips).fingerprint()
        for name, clips in (("a", range(4)), ("b", range(4)), ("c", range(1, 5)))
    )
    assert one == same != other
