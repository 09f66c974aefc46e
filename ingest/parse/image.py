"""Images: what the file says of itself, and with OCR the text that is to be seen in it.

Where a photograph was taken is left out: it gives away where people live.
"""

import warnings
from collections.abc import Callable, Iterator, Mapping
from io import BytesIO

from PIL import ExifTags, Image, ImageFile, IptcImagePlugin, UnidentifiedImageError

from ingest.errors import RefusedError
from ingest.normalise import one_line
from ingest.records import ParsedText

FORMATS = ("PNG", "JPEG", "GIF", "WEBP", "TIFF", "BMP")
"""Of Pillow's readers, those that we ask: each is a way for hostile bytes to come in."""
MAX_PIXELS = 100_000_000
"""Of an image that is opened for OCR."""
_TOO_LARGE = f"it has more than {MAX_PIXELS:,} pixels: make it smaller"
_MAX_VALUE = 2_000
_TAGS: Mapping[str, int] = {
    "description": ExifTags.Base.ImageDescription,
    "artist": ExifTags.Base.Artist,
    "copyright": ExifTags.Base.Copyright,
    "camera": ExifTags.Base.Model,
    "taken": ExifTags.Base.DateTime,
}
_WINDOWS_TAGS: Mapping[str, int] = {
    "title": ExifTags.Base.XPTitle,
    "comment": ExifTags.Base.XPComment,
    "keywords": ExifTags.Base.XPKeywords,
}
_IPTC: Mapping[str, tuple[int, int]] = {
    "title": (2, 5),
    "keywords": (2, 25),
    "artist": (2, 80),
    "description": (2, 120),
}
_CHUNKS: Mapping[str, str] = {
    "Title": "title",
    "Author": "artist",
    "Description": "description",
    "Comment": "comment",
    "Copyright": "copyright",
    "comment": "comment",
}
"""Texts that PNG and GIF keep, and what we call them."""


def parse(
    data: bytes, name: str = "", read_image: Callable[[Image.Image], str] | None = None
) -> ParsedText:
    """A line that names the image, a line for each thing it says of itself, then what is read.

    Raises RefusedError for what is no whole image or is too large to be opened.
    """
    with warnings.catch_warnings():
        # Only the header is read, unless the size was checked.
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        try:
            with Image.open(BytesIO(data), formats=FORMATS) as image:
                said = dict(_said(image))
                text = _seen(image, read_image) if read_image else ""
                first = f"Image {one_line(name)}: {image.format}, {image.width} × {image.height}"
        except Image.DecompressionBombError as error:
            raise RefusedError(_TOO_LARGE) from error
        except (UnidentifiedImageError, OSError, SyntaxError) as error:
            raise RefusedError("it is not a whole image: it is damaged or cut short") from error
    lines = [f"{first} pixels", *(f"{key}: {value}" for key, value in said.items()), "", text]
    return ParsedText(text="\n".join(lines), title=said.get("title", ""), metadata=said)


def _seen(image: Image.Image, read_image: Callable[[Image.Image], str]) -> str:
    if image.width * image.height > MAX_PIXELS:
        raise RefusedError(_TOO_LARGE)
    return read_image(image)


def _said(image: ImageFile.ImageFile) -> Iterator[tuple[str, str]]:
    """Names and values; of one name the last counts, as the surest source comes last."""
    found = [*_from_chunks(image), *_from_exif(image), *_from_iptc(image)]
    for name, value in found:
        if text := one_line(value.strip("\0 "))[:_MAX_VALUE]:
            yield name, text


def _from_chunks(image: Image.Image) -> Iterator[tuple[str, str]]:
    for key, name in _CHUNKS.items():
        value = image.info.get(key)
        if isinstance(value, bytes):
            value = value.decode("utf-8", errors="replace")
        if isinstance(value, str):
            yield name, value


def _from_exif(image: Image.Image) -> Iterator[tuple[str, str]]:
    exif = image.getexif()
    taken = exif.get_ifd(ExifTags.IFD.Exif).get(ExifTags.Base.DateTimeOriginal)
    for name, tag in _TAGS.items():
        value = taken if name == "taken" and taken else exif.get(tag)
        if isinstance(value, str):
            yield name, _iso(value) if name == "taken" else value
    for name, tag in _WINDOWS_TAGS.items():
        value = exif.get(tag)
        if isinstance(value, bytes):
            yield name, value.decode("utf-16-le", errors="replace")


def _iso(moment: str) -> str:
    """`2024:05:01 10:20:30` with dashes."""
    day, _, time = moment.partition(" ")
    return f"{day.replace(':', '-')} {time}"


def _from_iptc(image: ImageFile.ImageFile) -> Iterator[tuple[str, str]]:
    """The captions of press photographs (IPTC-IIM 4.2, record 2)."""
    said = IptcImagePlugin.getiptcinfo(image) or {}
    for name, number in _IPTC.items():
        values = said.get(number) or []
        values = values if isinstance(values, list) else [values]
        if values:
            yield name, ", ".join(value.decode("utf-8", errors="replace") for value in values)
