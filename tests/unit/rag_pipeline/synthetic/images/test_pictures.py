"""Pictures from arrays and files, and back."""

import struct
import zlib
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from rag_pipeline.synthetic.errors import PictureError, SyntheticError
from rag_pipeline.synthetic.images.coding import PictureCodec
from rag_pipeline.synthetic.images.pictures import (
    Pictures,
    digits,
    grid,
    pictures_of,
    pictures_of_files,
    png,
)


def noise(count: int, channels: int = 1, size: tuple[int, int] = (6, 9), seed: int = 0) -> Pictures:
    drawn = np.random.default_rng(seed).integers(0, 256, (count, channels, *size))
    return pictures_of(drawn)


@pytest.mark.parametrize("channels", [1, 3])
def test_a_picture_survives_its_file(channels: int) -> None:
    made = noise(3, channels)
    read = pictures_of_files([png(one) for one in made.pixels], ["a", "b", "a"])
    assert np.array_equal(read.pixels, made.pixels)
    assert read.labels is not None
    assert read.labels.tolist() == ["a", "b", "a"]


def test_grey_beside_colour_becomes_colour() -> None:
    files = [png(noise(1, 1).pixels[0]), png(noise(1, 3).pixels[0])]
    read = pictures_of_files(files)
    assert read.shape == (3, 6, 9)
    assert (read.pixels[0, 0] == read.pixels[0, 2]).all()


def test_arrays_may_have_their_channels_last_or_none() -> None:
    made = noise(4, 3)
    assert np.array_equal(pictures_of(made.pixels.transpose(0, 2, 3, 1)).pixels, made.pixels)
    assert pictures_of(made.pixels[:, 0]).shape == (1, 6, 9)
    assert pictures_of(made.pixels[:, 0] / 1.0).pixels.dtype == np.uint8


def test_a_grid_shows_each_picture_once_between_gaps() -> None:
    made = noise(5)
    sheet = np.asarray(Image.open(BytesIO(grid(made, columns=3, scale=2))))
    assert sheet.shape == (2 * (12 + 2) + 2, 3 * (18 + 2) + 2)
    assert np.array_equal(sheet[2:14:2, 2:20:2], made.pixels[0, 0])
    assert np.array_equal(sheet[16:28:2, 22:40:2], made.pixels[4, 0])
    assert (sheet[:2] == 128).all()
    assert (sheet[16:28, 42:60] == 128).all()


def test_the_digits_that_come_along_are_what_they_are() -> None:
    found = digits()
    assert found.pixels.shape == (1797, 1, 8, 8)
    assert len(np.unique(found.pixels)) == 17
    assert found.labels is not None
    assert {*found.labels} == set("0123456789")


def test_a_file_that_is_cut_off_is_named_by_its_place() -> None:
    whole = png(noise(1, size=(40, 40)).pixels[0])
    for damaged in (whole[: len(whole) // 2], b"", b"\x89PNG\r\n\x1a\n", b"GIF89a", whole[:-30]):
        with pytest.raises(PictureError, match="picture 2 can't be read: .*; give a whole PNG"):
            pictures_of_files([whole, damaged])


def test_a_file_that_claims_to_be_huge_is_refused_before_it_is_unpacked() -> None:
    def chunk(name: bytes, content: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(name + content))
        return struct.pack(">I", len(content)) + name + content + check

    for side in (65, 12_000, 60_000):
        header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
        bomb = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"")
        with pytest.raises(PictureError, match="picture 1"):
            pictures_of_files([bomb])


def test_pictures_that_can_not_be_learnt_together_are_refused() -> None:
    small, wide = noise(1), noise(1, size=(6, 10))
    with pytest.raises(PictureError, match="picture 2 has 10 x 6 pixels, and the first 9 x 6"):
        pictures_of_files([png(small.pixels[0]), png(wide.pixels[0])])
    with pytest.raises(PictureError, match="differ in size"):
        pictures_of([small.pixels[0].tolist(), wide.pixels[0].tolist()])
    with pytest.raises(PictureError, match="scale each side to 4 to 64"):
        noise(1, size=(3, 9))
    with pytest.raises(PictureError, match="there are no pictures"):
        pictures_of_files([])
    with pytest.raises(PictureError, match="no pictures"):
        pictures_of(np.zeros((2, 5, 8, 7)))


@pytest.mark.parametrize("pixel", [-1, 256, 0.5, np.nan, np.inf])
def test_numbers_that_are_no_pixels_are_refused(pixel: float) -> None:
    with pytest.raises(PictureError, match="whole numbers from 0 to 255"):
        pictures_of(np.full((2, 8, 8), pixel))
    with pytest.raises(PictureError, match="pixels are numbers"):
        pictures_of(np.full((2, 8, 8), "black"))


def test_labels_belong_to_all_pictures_or_to_none() -> None:
    with pytest.raises(PictureError, match="picture 2 has the label None"):
        pictures_of(noise(3).pixels, ["a", None, "b"])
    with pytest.raises(PictureError, match="3 pictures have 2 labels"):
        pictures_of(noise(3).pixels, ["a", "b"])
    with pytest.raises(PictureError, match="picture 1 has the label ''"):
        pictures_of(noise(1).pixels, [""])


def test_only_shades_that_were_there_come_back() -> None:
    some = digits().rows(slice(100))
    codec = PictureCodec.learnt(some)
    assert np.array_equal(codec.decode(codec.encode(some)).pixels, some.pixels)
    moved = codec.decode(codec.encode(some) + 0.03)
    assert {*np.unique(moved.pixels)} <= {*np.unique(some.pixels)}
    many = PictureCodec.learnt(noise(60))
    assert np.array_equal(many.decode(many.encode(noise(60))).pixels, noise(60).pixels)
    beyond = codec.encode(some) * 9
    assert codec.decode(beyond).pixels.max() == 255


def test_too_few_or_empty_pictures_can_not_be_learnt() -> None:
    with pytest.raises(PictureError, match="1 of them are too few .* at least 50"):
        PictureCodec.learnt(noise(1))
    with pytest.raises(PictureError, match="all pixels are 0"):
        PictureCodec.learnt(pictures_of(np.zeros((60, 8, 8))))
    with pytest.raises(PictureError, match="the label 'rare' has 4 pictures"):
        PictureCodec.learnt(pictures_of(noise(60).pixels, ["rare"] * 4 + ["usual"] * 56))


def test_labels_are_drawn_as_often_as_they_were() -> None:
    labels = ["a"] * 90 + ["b"] * 10
    codec = PictureCodec.learnt(pictures_of(noise(100).pixels, labels))
    drawn = codec.drawn(2_000, None, 1)
    assert 130 < (drawn == 1).sum() < 270
    assert (codec.drawn(5, "b", 1) == 1).all()
    with pytest.raises(SyntheticError, match="the label 'c' was not learnt: there are 'a', 'b'"):
        codec.drawn(5, "c", 1)
