"""Damage to the bytes of a media file: to any bytes, and to the elements of its container."""

from collections.abc import Callable, Sequence
from random import Random

from .elements import WALKERS, Element, ogg, ogg_with_checksums
from .originals import Original

Mutation = Callable[[bytes, Random, Original], bytes]

ABSURD = (0, 1, 2, 7, 255, 256, 16_000, 32_767, 65_535, 999_999_999, 0x7FFF_FFFF, 0x8000_0000)
LARGE = (0xFFFF_FFFF, 1 << 40, (1 << 63) - 1, 1 << 63, (1 << 64) - 1)
HEAD = 2_048  # bytes in which most headers lie
WIDTHS = (1, 2, 2, 4, 4, 4, 8)  # bytes of a number


def flip_bits(data: bytes, rng: Random, _: Original) -> bytes:
    """A few bits anywhere."""
    changed = bytearray(data)
    for _bit in range(rng.choice((1, 2, 4, 16, 64))):
        changed[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def flip_header_bytes(data: bytes, rng: Random, _: Original) -> bytes:
    """A few bytes near the start, or near the end, where MP4 has its header."""
    changed = bytearray(data)
    size = min(HEAD, len(data))
    begin = rng.choice((0, len(data) - size))
    for _byte in range(rng.choice((1, 2, 4, 8))):
        changed[begin + rng.randrange(size)] = rng.randrange(256)
    return bytes(changed)


def zero_range(data: bytes, rng: Random, _: Original) -> bytes:
    """Zeros, as in a download that was resumed wrongly."""
    begin, end = _span(data, rng)
    return data[:begin] + bytes(end - begin) + data[end:]


def random_range(data: bytes, rng: Random, _: Original) -> bytes:
    """Noise in a range."""
    begin, end = _span(data, rng)
    return data[:begin] + rng.randbytes(end - begin) + data[end:]


def cut(data: bytes, rng: Random, _: Original) -> bytes:
    """The end is missing."""
    return data[: rng.choice((rng.randrange(len(data)), rng.randrange(min(HEAD, len(data)))))]


def cut_start(data: bytes, rng: Random, _: Original) -> bytes:
    """The start is missing."""
    return data[rng.randrange(1, min(HEAD, len(data))) :]


def remove_range(data: bytes, rng: Random, _: Original) -> bytes:
    """A piece is missing."""
    begin, end = _span(data, rng)
    return data[:begin] + data[end:]


def repeat_range(data: bytes, rng: Random, _: Original) -> bytes:
    """A piece comes twice, or the whole file does."""
    begin, end = rng.choice((_span(data, rng), (0, len(data))))
    return data[:end] + data[begin:end] + data[end:]


def swap_ranges(data: bytes, rng: Random, _: Original) -> bytes:
    """Two halves of a range change places."""
    begin, end = _span(data, rng)
    middle = rng.randint(begin, end)
    return data[:begin] + data[middle:end] + data[begin:middle] + data[end:]


def absurd_number(data: bytes, rng: Random, _: Original) -> bytes:
    """An extreme number anywhere in the header."""
    return _with_number(data, rng.randrange(min(HEAD, len(data))), rng)


def absurd_property(data: bytes, rng: Random, original: Original) -> bytes:
    """The width, the height or the sample rate, wherever it is stored."""
    numbers = [*(original.size if original.video else ()), original.rate if original.audio else 0]
    value = rng.choice([number for number in numbers if number])
    places = []
    for width in (4, 2):
        for order in ("big", "little"):
            known = value.to_bytes(width, order)
            at = data.find(known)
            while 0 <= at < len(data) and len(places) < 64:
                places.append((at, width, order))
                at = data.find(known, at + 1)
    if not places:
        return absurd_number(data, rng, original)
    at, width, order = rng.choice(places)
    number = rng.choice((*ABSURD, *LARGE)) % (1 << 8 * width)
    return data[:at] + number.to_bytes(width, order) + data[at + width :]


def absurd_size(data: bytes, rng: Random, original: Original) -> bytes:
    """An element claims another size."""
    chosen = [e for e in _elements(data, original) if e.size is not None]
    if not chosen:
        return absurd_number(data, rng, original)
    element = rng.choice(chosen)
    at, width = element.size or (0, 0)
    real = int.from_bytes(data[at : at + width], element.order)
    near = (real - 1, real + 1, real + 8, 2 * real, real // 2)
    number = rng.choice((*near, *ABSURD, *LARGE)) % (1 << 8 * width)
    if original.suffix in (".mkv", ".webm"):  # the length of the number stays what it was
        mark = 1 << 7 * width
        number = (number % mark) | mark if rng.random() < 0.8 else number
    return data[:at] + number.to_bytes(width, element.order) + data[at + width :]


def absurd_field(data: bytes, rng: Random, original: Original) -> bytes:
    """An extreme number in an element."""
    chosen = [e for e in _elements(data, original) if e.end > e.payload]
    if not chosen:
        return absurd_number(data, rng, original)
    element = rng.choice(chosen)
    room = min(element.end - element.payload, 128)
    return _with_number(data, element.payload + rng.randrange(0, room, min(room, 2)), rng, element)


def drop_element(data: bytes, rng: Random, original: Original) -> bytes:
    """An element is missing; the sizes of those around it stay."""
    chosen = _elements(data, original)
    if not chosen:
        return remove_range(data, rng, original)
    element = rng.choice(chosen)
    return data[: element.start] + data[element.end :]


def repeat_element(data: bytes, rng: Random, original: Original) -> bytes:
    """An element comes several times."""
    chosen = _elements(data, original)
    if not chosen:
        return repeat_range(data, rng, original)
    element = rng.choice(chosen)
    again = data[element.start : element.end] * rng.choice((1, 1, 3))
    return data[: element.end] + again + data[element.end :]


def empty_element(data: bytes, rng: Random, original: Original) -> bytes:
    """Zeros or ones in place of what an element holds."""
    chosen = [e for e in _elements(data, original) if e.end > e.payload]
    if not chosen:
        return zero_range(data, rng, original)
    element = rng.choice(chosen)
    filling = rng.choice((b"\0", b"\xff")) * (element.end - element.payload)
    return data[: element.payload] + filling + data[element.end :]


def swap_elements(data: bytes, rng: Random, original: Original) -> bytes:
    """Two elements of one kind change places, or the heads of what they hold: their times."""
    by_kind: dict[bytes, list[Element]] = {}
    for element in _elements(data, original):
        by_kind.setdefault(element.kind, []).append(element)
    several = [elements for elements in by_kind.values() if len(elements) > 1]
    if not several:
        return swap_ranges(data, rng, original)
    one, two = sorted(rng.sample(rng.choice(several), 2), key=lambda e: e.start)
    if one.end > two.start:
        return swap_ranges(data, rng, original)
    size = rng.choice((1, 3, 4, 8, max(one.end - one.payload, two.end - two.payload)))
    ends = [min(e.payload + size, e.end) for e in (one, two)]
    return b"".join(
        (
            data[: one.payload],
            data[two.payload : ends[1]],
            data[ends[0] : two.payload],
            data[one.payload : ends[0]],
            data[ends[1] :],
        )
    )


def shuffle_table(data: bytes, rng: Random, original: Original) -> bytes:
    """The numbers of a table in another order: times, offsets and sizes of an MP4, an index."""
    chosen = [e for e in _elements(data, original) if e.end - e.payload >= 24]
    if not chosen:
        return swap_ranges(data, rng, original)
    element = rng.choice(chosen)
    width = rng.choice((4, 4, 8, 16))
    begin = element.payload + 8
    count = min((element.end - begin) // width, 256)
    entries = [data[begin + k * width : begin + (k + 1) * width] for k in range(count)]
    rng.shuffle(entries)
    return data[:begin] + b"".join(entries) + data[begin + count * width :]


MUTATIONS: Sequence[Mutation] = (
    flip_bits,
    flip_header_bytes,
    zero_range,
    random_range,
    cut,
    cut_start,
    remove_range,
    repeat_range,
    swap_ranges,
    absurd_number,
    absurd_property,
    absurd_property,
    absurd_size,
    absurd_size,
    absurd_field,
    absurd_field,
    absurd_field,
    drop_element,
    repeat_element,
    empty_element,
    swap_elements,
    swap_elements,
    shuffle_table,
    shuffle_table,
)


def mutate(data: bytes, rng: Random, original: Original) -> tuple[bytes, list[str]]:
    """A file with one to three kinds of damage, and their names."""
    names = []
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        mutation = rng.choice(MUTATIONS)
        if len(data) > 1:
            data = mutation(data, rng, original)
            names.append(mutation.__name__)
    if WALKERS.get(original.suffix) is ogg and rng.random() < 0.7:
        data = ogg_with_checksums(data)
    return data, names


def _elements(data: bytes, original: Original) -> list[Element]:
    walker = WALKERS.get(original.suffix)
    return [] if walker is None else [*walker(data)]


def _span(data: bytes, rng: Random) -> tuple[int, int]:
    """A range: short, long, or a share of the file."""
    length = rng.choice((rng.randint(1, 16), rng.randint(1, 1_024), rng.randint(1, len(data))))
    begin = rng.randrange(len(data))
    return begin, min(begin + length, len(data))


def _with_number(data: bytes, at: int, rng: Random, element: Element | None = None) -> bytes:
    width = rng.choice(WIDTHS)
    order = rng.choice(("big", "little")) if element is None else element.order
    number = rng.choice((*ABSURD, *LARGE, rng.getrandbits(64))) % (1 << 8 * width)
    return (data[:at] + number.to_bytes(width, order) + data[at + width :])[: len(data)]
