"""Text that is only a picture: scanned pages, photographs of signs, screenshots.

RapidOCR runs the PP-OCR models, which its package brings along: nothing is fetched.
"""

from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING, cast

import numpy as np
import numpy.typing as npt
from PIL import Image

from ingest.errors import SkippedError

if TYPE_CHECKING:
    from rapidocr import RapidOCR
    from rapidocr.utils.output import RapidOCROutput

MIN_SIDE = 8
"""Pixels; nothing is to be read in less."""
MAX_SIDE = 6_000
"""Pixels; larger images are made smaller, as letters are still large enough in them."""
_SAME_ROW = 0.5
"""Share of a line's height that its neighbour's middle may be off."""


def read_image(image: Image.Image) -> str:
    """The lines of text in `image`, from top to bottom; empty if there are none.

    Raises SkippedError if the extra `ocr` is not installed.
    """
    if min(image.size) < MIN_SIDE:
        return ""
    image.thumbnail((MAX_SIDE, MAX_SIDE))
    found = cast("RapidOCROutput", _reader()(np.asarray(_on_white(image))))
    if found.txts is None or found.boxes is None:
        return ""
    return "\n".join(_rows(found.txts, found.boxes))


def _on_white(image: Image.Image) -> Image.Image:
    """In colours; what is transparent becomes white, as black text on it would not be seen."""
    if not image.has_transparency_data:
        return image.convert("RGB")
    over = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", over.size, "white"), over).convert("RGB")


def _rows(texts: tuple[str, ...], boxes: npt.NDArray[np.float32]) -> Iterator[str]:
    """Texts side by side as one line; `boxes` (n, 4, 2) are corners, x before y."""
    row: list[str] = []
    middle = 0.0
    for text, box in zip(texts, boxes, strict=True):
        top, bottom = float(box[:, 1].min()), float(box[:, 1].max())
        if row and abs((top + bottom) / 2 - middle) > _SAME_ROW * (bottom - top):
            yield " ".join(row)
            row = []
        row.append(text)
        middle = (top + bottom) / 2
    if row:
        yield " ".join(row)


@cache
def _reader() -> "RapidOCR":
    try:
        from rapidocr import RapidOCR
    except ImportError as error:
        raise SkippedError(
            "reading images needs the extra `ocr`: pip install 'rag-pipeline-service[ocr]'"
        ) from error
    return RapidOCR(params={"Global.log_level": "critical"})
