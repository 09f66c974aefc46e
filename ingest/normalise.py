"""One form for every text, so that equal texts have equal hashes and offsets stay what they are.

Offsets of chunks and citations count code points of this form: what it takes away is gone before
anything is stored. It changes no letter (NFC, never NFKC: "x²" does not become "x2").
"""

import re
import sys
import unicodedata
from functools import cache

# Removed: controls but \t and \n; the byte order mark and the soft hyphen, which stand inside words
# and would hide them from search; tag characters, which show nothing and can carry instructions to
# a model. Kept: zero-width joiners, which spell words in Persian and Hindi and hold emoji together,
# and bidirectional marks, without which mixed text reads in another order than it was written.
_REMOVED = re.compile(r"[\x00-\x08\x0e-\x1f\x7f-\x9f\xad\ufeff\U000e0000-\U000e007f]")
_LINE_END = re.compile(r"\r\n|[\r\x0b\x0c\x85\u2028\u2029]")
_BLANK_LINES = re.compile(r"\n{3,}")
_LONE_SURROGATE = re.compile(r"[\ud800-\udfff]")

MAX_MARKS = 30
"""Combining marks on one letter (Unicode Standard Annex 15, section 13: no language needs more)."""


def normalise(text: str) -> str:
    """`text` in NFC with plain line ends, no control characters and no blank space around it.

    At most one line in a row is blank. Idempotent; the result always encodes to UTF-8.
    """
    text = _LONE_SURROGATE.sub("\ufffd", text)
    text = _REMOVED.sub("", _LINE_END.sub("\n", text))
    text = _composed(text)
    text = "\n".join(line.rstrip() for line in text.split("\n"))
    return _BLANK_LINES.sub("\n\n", text).strip()


def one_line(text: str) -> str:
    """`text` normalised, with every run of white space made one space: for titles and cells."""
    return " ".join(normalise(text).split())


def _composed(text: str) -> str:
    if unicodedata.is_normalized("NFC", text):
        return text
    # Ordering n marks on one letter takes n² steps: a megabyte of them would take an hour.
    return unicodedata.normalize("NFC", _excess_marks().sub(r"\1", text))


@cache
def _excess_marks() -> re.Pattern[str]:
    marks = "".join(c for c in map(chr, range(0x300, sys.maxunicode)) if unicodedata.combining(c))
    return re.compile(f"([{marks}]{{{MAX_MARKS}}})[{marks}]+")
