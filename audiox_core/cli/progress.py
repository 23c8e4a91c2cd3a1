"""A progress bar that does not appear before there is progress."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from tqdm import tqdm


@contextmanager
def late_bar(**options: Any) -> Iterator[Callable[[int, int], None]]:
    """Give a function that shows `done` of `total`; the bar appears with its first call.

    So an error before it stays one line.

    Args:
        options: of tqdm.
    """
    bar: tqdm | None = None

    def show(done: int, total: int) -> None:
        nonlocal bar
        bar = bar or tqdm(total=total, initial=done, **options)
        bar.update(done - bar.n)
        if done == total:
            bar.close()

    try:
        yield show
    finally:
        if bar is not None:
            bar.close()
