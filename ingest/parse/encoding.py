"""Bytes to text, when nothing but the bytes says which encoding they are in."""

import codecs
import re

from ingest.errors import RefusedError

SAMPLE = 64 * 1024
"""Bytes that a guess is made from."""

# UTF-32 first: its mark begins with that of UTF-16.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# No encoding of text uses these; escape, backspace and form feed do occur in logs and listings.
_CONTROLS = re.compile(rb"[\x00-\x07\x0e-\x1a\x1c-\x1f]")
_MAX_CONTROLS = 0.05
_MIN_ZEROS = 0.4
_MAX_BROKEN = 0.05
"""Share of the characters of a damaged text that may be lost before it is refused."""
# Letters and signs that Western European texts use beyond ASCII.
_WESTERN = frozenset(
    "àâäáãåæçèéêëìíîïñòóôõöøœùúûüýÿßÀÂÄÁÃÅÆÇÈÉÊËÌÍÎÏÑÒÓÔÕÖØŒÙÚÛÜ‘’‚“”„–—…•«»€£§°·©®²³½×÷±µ¿¡ªº\xa0"
)
_MAX_WESTERN_SHARE = 0.3


def decode(data: bytes) -> str:
    """The text of `data`: by its byte order mark, as UTF-8, as UTF-16, else by its statistics.

    Raises RefusedError for binary data and for an encoding that can't be told.
    """
    encoding = mark_of(data) or utf16_of(data)
    if encoding:
        return data.decode(encoding, errors="replace")
    if is_binary(data):
        raise RefusedError("it is binary data, not text: name it by what it is, or leave it out")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return _legacy(data)


def mark_of(data: bytes) -> str | None:
    """The encoding that a byte order mark names."""
    return next((name for mark, name in _MARKS if data.startswith(mark)), None)


def utf16_of(data: bytes) -> str | None:
    """UTF-16 without a mark, known by the zero byte beside each ASCII character."""
    first, second = data[:SAMPLE:2], data[1:SAMPLE:2]
    if _is_zeros(second) and not _has_controls(first):
        return "utf-16-le"
    return "utf-16-be" if _is_zeros(first) and not _has_controls(second) else None


def _is_zeros(sample: bytes) -> bool:
    return sample.count(0) > _MIN_ZEROS * len(sample)


def is_binary(data: bytes) -> bool:
    """Whether the beginning of `data` is no text in any encoding."""
    sample = data[:SAMPLE]
    if mark_of(sample) or utf16_of(sample):
        return False
    return _has_controls(sample)


def _has_controls(sample: bytes) -> bool:
    return len(_CONTROLS.findall(sample)) > _MAX_CONTROLS * len(sample)


def _legacy(data: bytes) -> str:
    """Text that is not valid UTF-8; the order puts what is surest first."""
    western = data.decode("cp1252", errors="replace")
    if _reads_as_western(western):
        return western
    mended = data.decode("utf-8", errors="replace")
    if _mostly_whole(mended):
        return mended
    if encoding := _guess(data[:SAMPLE]):
        return data.decode(encoding, errors="replace")
    if mended.count("\ufffd") > _MAX_BROKEN * len(mended):
        raise RefusedError("its character encoding can't be told: save it as UTF-8")
    return mended


def _reads_as_western(text: str) -> bool:
    """Short texts mislead statistics; a few accented letters among ASCII ones do not."""
    letters = [character for character in text[:SAMPLE] if character.isalpha()]
    accented = sum(letter > "\x7f" for letter in letters)
    foreign = {character for character in text if character > "\x7f"}
    return accented <= _MAX_WESTERN_SHARE * len(letters) and foreign <= _WESTERN


def _mostly_whole(text: str) -> bool:
    """UTF-8 with a few damaged places: more letters beyond ASCII came out whole than broke."""
    broken = text.count("\ufffd")
    whole = sum(character > "\x7f" for character in text) - broken
    return whole >= broken and broken <= _MAX_BROKEN * len(text)


def _guess(sample: bytes) -> str | None:
    # Slow to load, and few files need it.
    from charset_normalizer import from_bytes

    best = from_bytes(sample).best()
    return best.encoding if best else None
