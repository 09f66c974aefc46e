"""Pictures of one size, which a generator learns from and draws.

Each is uint8 (channels, height, width); with labels, each has one. Files are read and written by
Pillow.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from math import ceil
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image

from rag_pipeline.synthetic.errors import PictureError

Pixels: TypeAlias = npt.NDArray[np.uint8]
Labels: TypeAlias = npt.NDArray[np.object_]

SMALLEST, LARGEST = 4, 64
"""Pixels of a side."""
_MODES = {1: "L", 3: "RGB"}
"""Pillow's name for so many channels."""
_READ_AS = {"1": "L", "L": "L", "I;16": "L", "LA": "L"}
"""What has no colour is read as grey; all else as RGB."""
_UNREADABLE = (
    OSError,
    SyntaxError,  # Pillow's word for a PNG with a broken chunk
    ValueError,
    Image.DecompressionBombError,
    Image.DecompressionBombWarning,
)
_GAP = 2
"""Pixels between the pictures of a grid."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Pictures:
    """Some pictures, in order."""

    pixels: Pixels
    """(n, channels, height, width)"""
    labels: Labels | None = None
    """(n,): strings."""

    def __post_init__(self) -> None:
        """Raise `PictureError` for what has another form."""
        pixels = self.pixels
        if pixels.dtype != np.uint8 or pixels.ndim != 4 or pixels.shape[1] not in _MODES:
            raise PictureError(
                f"{pixels.dtype} of shape {pixels.shape} are no pictures: give uint8 of shape"
                " (number, 1 or 3 channels, height, width)"
            )
        if not all(SMALLEST <= side <= LARGEST for side in self.size):
            raise PictureError(
                f"the pictures are {self.width} x {self.height} pixels: scale each side to"
                f" {SMALLEST} to {LARGEST}"
            )
        if self.labels is not None:
            _check_labels(self.labels, len(pixels))

    def __len__(self) -> int:
        return len(self.pixels)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height, width."""
        channels, height, width = self.pixels.shape[1:]
        return channels, height, width

    @property
    def size(self) -> tuple[int, int]:
        """Height, width."""
        return self.shape[1:]

    @property
    def height(self) -> int:
        return self.shape[1]

    @property
    def width(self) -> int:
        return self.shape[2]

    def rows(self, at: npt.NDArray[np.int64] | slice) -> "Pictures":
        """The pictures at these places, in this order."""
        labels = None if self.labels is None else self.labels[at]
        return Pictures(pixels=self.pixels[at], labels=labels)


def _check_labels(labels: Labels, pictures: int) -> None:
    if labels.shape != (pictures,):
        raise PictureError(f"{pictures} pictures have {labels.size} labels: give one for each")
    for place, label in enumerate(labels):
        if not isinstance(label, str) or not label:
            raise PictureError(
                f"picture {place + 1} has the label {label!r}: give each a name, or none any"
            )


def pictures_of(pixels: npt.ArrayLike, labels: Sequence[object] | None = None) -> Pictures:
    """Pictures from arrays: (n, height, width), or with 1 or 3 channels before or after the sides.

    Whole numbers from 0 to 255; labels become strings. Raises `PictureError`.
    """
    try:
        array = np.asarray(pixels)
    except ValueError as error:
        raise PictureError("the pictures differ in size: scale all to the same") from error
    if array.ndim == 3:
        array = array[:, None]
    if array.ndim == 4 and array.shape[1] not in _MODES and array.shape[3] in _MODES:
        array = array.transpose(0, 3, 1, 2)
    return Pictures(pixels=_bytes(array), labels=_names(labels))


def _bytes(array: npt.NDArray[np.generic]) -> Pixels:
    if array.dtype == np.uint8:
        return np.ascontiguousarray(array)
    if array.dtype.kind not in "biuf":
        raise PictureError(f"pixels are numbers, not {array.dtype}: give 0 to 255")
    numbers = array.astype(np.float64)
    if not (np.isfinite(numbers).all() and (numbers == np.clip(np.round(numbers), 0, 255)).all()):
        raise PictureError("pixels are whole numbers from 0 to 255: scale and round them")
    return numbers.astype(np.uint8)


def _names(labels: Sequence[object] | None) -> Labels | None:
    if labels is None:
        return None
    given = [None if label is None else str(label) for label in labels]
    return np.array(given or [], np.object_)


def pictures_of_files(files: Sequence[bytes], labels: Sequence[object] | None = None) -> Pictures:
    """Pictures from the bytes of PNG or other files that Pillow reads, all of one size.

    Raises `PictureError` for what is damaged, or of another size than the first, naming its place.
    """
    if not files:
        raise PictureError("there are no pictures; give at least one")
    read = [_opened(content, place) for place, content in enumerate(files, start=1)]
    for place, array in enumerate(read, start=1):
        if array.shape[:2] != read[0].shape[:2]:
            raise PictureError(
                f"picture {place} has {array.shape[1]} x {array.shape[0]} pixels, and the first"
                f" {read[0].shape[1]} x {read[0].shape[0]}: scale all to the same size"
            )
    if len({array.ndim for array in read}) > 1:
        read = [array if array.ndim == 3 else np.stack([array] * 3, axis=2) for array in read]
    return pictures_of(np.stack(read), labels)


def _opened(content: bytes, place: int) -> Pixels:
    """(height, width), or (height, width, 3)."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            picture = Image.open(BytesIO(content))
        if max(picture.size) > LARGEST:
            width, height = picture.size
            raise PictureError(
                f"picture {place} has {width} x {height} pixels: scale each side to at most"
                f" {LARGEST}"
            )
        return np.asarray(picture.convert(_READ_AS.get(picture.mode, "RGB")), np.uint8)
    except _UNREADABLE as error:
        raise PictureError(f"picture {place} can't be read: {error}; give a whole PNG") from error


def digits() -> Pictures:
    """The 1,797 handwritten digits that scikit-learn brings along: 8 x 8 in 17 shades of grey."""
    from sklearn.datasets import load_digits

    found = load_digits()
    return pictures_of(np.round(found.images * (255 / 16)), found.target.tolist())


def png(pixels: Pixels) -> bytes:
    """One picture (channels, height, width) as a PNG file."""
    mode = _MODES[pixels.shape[0]]
    array = pixels[0] if mode == "L" else pixels.transpose(1, 2, 0)
    file = BytesIO()
    Image.fromarray(np.ascontiguousarray(array)).save(file, "PNG")
    return file.getvalue()


def grid(pictures: Pictures, *, columns: int = 10, scale: int = 1) -> bytes:
    """All pictures side by side, row by row, as one PNG; each pixel `scale` wide."""
    if not len(pictures):
        raise PictureError("there are no pictures to show; give at least one")
    channels, height, width = pictures.shape
    rows = ceil(len(pictures) / columns)
    down, along = height * scale + _GAP, width * scale + _GAP
    sheet = np.full((channels, rows * down + _GAP, columns * along + _GAP), 128, np.uint8)
    for place, one in enumerate(pictures.pixels.repeat(scale, axis=2).repeat(scale, axis=3)):
        top, left = place // columns * down + _GAP, place % columns * along + _GAP
        sheet[:, top : top + height * scale, left : left + width * scale] = one
    return png(sheet)
