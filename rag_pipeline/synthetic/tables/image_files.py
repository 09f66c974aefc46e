"""Images in a folder as records: a column `image`, and a label or whatever a list says of each.

folder/LABEL/*.png           a folder for each label
folder/labels.csv            a list with a column `file`, and any others
folder/*.png                 neither
"""

import warnings
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from rag_pipeline.synthetic.errors import TableError
from rag_pipeline.synthetic.tables.files import Line, lines_of
from storage.record_sets.coding import MAX_IMAGE, PNG, PNG_END

LIST = "labels.csv"
LARGEST_FILE = MAX_IMAGE
"""Bytes."""
MOST_PIXELS = 1 << 24
_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".gif", ".bmp", ".webp"})


def images_in(folder: Path) -> Iterator[Line]:
    """The images of a folder, by name. Raises `TableError` for one that can't be read."""
    if (folder / LIST).is_file():
        yield from _listed(folder)
        return
    try:
        files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in _SUFFIXES)
    except OSError as error:
        raise TableError(f"{folder} can't be read: {error}") from error
    for path in files:
        labels = path.relative_to(folder).parts[:-1]
        said = {"label": "/".join(labels)} if labels else {}
        yield Line(str(path), {"image": png_of(path), **said})


def image_beside(folder: Path, name: str) -> bytes:
    """The image that a table in `folder` names. Raises `TableError` for one that lies elsewhere."""
    path = folder / name
    if not path.resolve().is_relative_to(folder.resolve()):
        raise TableError(f"{name!r} lies outside of {folder}; put the image into it")
    return png_of(path)


def png_of(path: Path) -> bytes:
    """The bytes of a PNG as they are; another image as PNG. Raises `TableError` for none."""
    try:
        if path.stat().st_size > LARGEST_FILE:
            raise TableError(f"{path} has more than {LARGEST_FILE:,} bytes; make it smaller")
        content = path.read_bytes()
        return checked_png(content) if content.startswith(PNG) else _converted(content)
    except OSError as error:
        raise TableError(f"{path} can't be read as an image: {error}") from error
    except TableError as error:
        raise TableError(f"{path} can't be read as an image: {error}") from error


def checked_png(content: bytes) -> bytes:
    """The same bytes, once all of the image was read. Raises `TableError`."""
    if not content.endswith(PNG_END):
        raise TableError("it is cut off, or something else follows it")
    _opened(content)
    return content


def _converted(content: bytes) -> bytes:
    found = _opened(content)
    if found.mode not in ("1", "L", "LA", "RGB", "RGBA"):
        found = found.convert("RGB")
    written = BytesIO()
    found.save(written, "PNG")
    return written.getvalue()


def _opened(content: bytes) -> Image.Image:
    """The image, read to its end: a cut or faked one fails here."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            found = Image.open(BytesIO(content))
        if found.width * found.height > MOST_PIXELS:
            raise TableError(f"{found.width} x {found.height} pixels are too many; scale it down")
        found.load()
    except (
        UnidentifiedImageError,
        Image.DecompressionBombError,
        Image.DecompressionBombWarning,
        OSError,
        SyntaxError,  # Pillow's word for a PNG with a broken chunk
        ValueError,
    ) as error:
        raise TableError(f"it is no whole image: {error}") from error
    return found


def _listed(folder: Path) -> Iterator[Line]:
    for place, record in lines_of(folder / LIST):
        if "file" not in record:
            raise TableError(f"{folder / LIST} has no column 'file', which names the image")
        others = {name: value for name, value in record.items() if name != "file"}
        yield Line(place, {"image": image_beside(folder, str(record["file"])), **others})
