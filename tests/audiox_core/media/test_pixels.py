"""Pictures upright, in the right colours and at the right size."""

import gc
import threading

import av
import numpy as np
import pytest
import torch

from audiox_core.errors import MediaError
from audiox_core.media import pixels
from audiox_core.media.pixels import (
    display_matrix,
    is_sideways,
    read_image,
    resize_frames,
    rgb,
    upright,
)

ONE = 1 << 16  # in 16.16 fixed point
PICTURE = torch.tensor([[1, 2, 3], [4, 5, 6]]).expand(3, 2, 3)


@pytest.mark.parametrize(
    ("matrix", "shown"),
    [
        ((ONE, 0, 0, ONE), [[1, 2, 3], [4, 5, 6]]),
        ((-ONE, 0, 0, -ONE), [[6, 5, 4], [3, 2, 1]]),  # half a turn
        ((-ONE, 0, 0, ONE), [[3, 2, 1], [6, 5, 4]]),  # mirrored
        ((ONE, 0, 0, -ONE), [[4, 5, 6], [1, 2, 3]]),  # upside down
        ((0, ONE, -ONE, 0), [[4, 1], [5, 2], [6, 3]]),  # a quarter turn clockwise
        ((0, -ONE, ONE, 0), [[3, 6], [2, 5], [1, 4]]),  # and back
        ((0, ONE, ONE, 0), [[1, 4], [2, 5], [3, 6]]),  # about the diagonal
    ],
)
def test_a_stored_picture_is_turned_as_its_matrix_says(matrix, shown):
    assert upright(PICTURE, matrix)[0].tolist() == shown
    assert is_sideways(matrix) == (len(shown) == 3)


def test_transparent_pixels_lie_on_black():
    import av

    pixels = np.zeros((16, 16, 4), np.uint8)
    pixels[..., :3], pixels[:8, :, 3], pixels[8:, :, 3] = 200, 255, 128
    shown = rgb(av.VideoFrame.from_ndarray(pixels, format="rgba"))
    assert shown.shape == (3, 16, 16)
    assert shown[:, :8].unique().tolist() == [200]
    assert shown[:, 8:].unique().tolist() == [(200 * 128 + 127) // 255]


def test_one_converter_gives_the_pictures_of_one_for_each_frame(monkeypatch):
    random = np.random.default_rng(0)
    shapes = {"rgb24": (48, 64, 3), "bgr24": (48, 64, 3), "gray": (32, 32), "rgba": (32, 32, 4)}
    frames = []
    for kind, shape in shapes.items():
        values = random.integers(0, 256, shape, dtype=np.uint8)
        frame = av.VideoFrame.from_ndarray(values, format=kind)
        frames += [frame.reformat(format=stored) for stored in ("yuv420p", "yuv444p10le", kind)]
    together = [rgb(frame) for frame in frames]
    for frame, picture in zip(frames, together, strict=True):
        monkeypatch.setattr(pixels, "_converters", pixels._Converters())
        assert torch.equal(rgb(frame), picture)


def test_threads_do_not_share_a_converter():
    found = []
    thread = threading.Thread(target=lambda: found.append(pixels._converters.own))
    thread.start()
    thread.join()
    assert found[0] is not pixels._converters.own
    assert pixels._converters.own is pixels._converters.own


def test_a_picture_is_stretched_to_a_square():
    frames = torch.arange(4, dtype=torch.uint8).view(1, 1, 1, 4).expand(1, 3, 2, 4) * 60
    small = resize_frames(frames, 2)
    assert small.shape == (1, 3, 2, 2)
    assert small.dtype == torch.uint8
    assert small[0, 0, 0, 0] < small[0, 0, 0, 1]
    assert torch.equal(small[0, 0, 0], small[0, 0, 1])


def test_a_picture_of_the_right_size_stays_as_it_is(seeded):
    frames = torch.randint(0, 256, (2, 3, 8, 8), generator=seeded, dtype=torch.uint8)
    assert torch.equal(resize_frames(frames, 8), frames)


@pytest.mark.parametrize(("kind", "level"), [("rgb24", 200), ("rgba", 200 * 200 / 255)])
def test_a_huge_picture_is_scaled_before_it_is_converted(kind, level):
    pixels = np.full((100, 9_000, len(kind.rstrip("24"))), 200, np.uint8)
    picture = rgb(av.VideoFrame.from_ndarray(pixels, format=kind))
    assert picture.shape == (3, round(100 * 4_096 / 9_000), 4_096)
    assert picture.float().mean().item() == pytest.approx(level, abs=2)


def test_a_picture_that_needs_gigabytes_is_refused_from_its_header(tmp_path, monkeypatch):
    path = tmp_path / "a.png"
    with av.open(str(path), "w", format="image2") as target:
        stream = target.add_stream("png")
        stream.width, stream.height, stream.pix_fmt = 64, 48, "rgba"
        target.mux(stream.encode(av.VideoFrame(64, 48, "rgba")))
        target.mux(stream.encode(None))
    assert read_image(path).shape == (3, 48, 64)
    monkeypatch.setattr(pixels, "_MOST_PIXELS", 2 * 64 * 48 - 1)
    with pytest.raises(MediaError, match=r"has 64 x 48 pixels, .* Scale it down"):
        read_image(path)


def test_a_frame_is_freed_as_soon_as_it_is_not_used():
    frame = av.VideoFrame.from_ndarray(np.zeros((16, 16, 3), np.uint8), "rgb24")
    gc.collect()
    gc.disable()
    try:
        assert display_matrix(frame) == pixels.UPRIGHT
        del frame
        assert gc.collect() == 0  # objects that only the collector could free
    finally:
        gc.enable()
