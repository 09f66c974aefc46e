"""Where the sentences of a text begin and end, by rules that need no model.

The chunker cuts between sentences and the citation checker quotes them, so both must agree on
where they are. The rules know English abbreviations and the full stops of other scripts; where
they are in doubt they keep text together, because a quote that is too long is still true.
"""

import re
from collections.abc import Iterator

_TERMINAL = re.compile(
    r"""(?P<mark>[.!?…‥؟۔।॥։]++)(?P<closing>["'”’»›)\]]*+(?:\[\w{1,3}\])*+)"""
    r"""|(?P<cjk>[。！？｡]++["'”’」』）】]*+)"""
)
"""Every run of full stops is one match, followed or not by a space: this keeps the scan linear."""

_LINE_KIND = re.compile(
    r"(?P<rule>\W+$)"
    r"|(?P<item>(?:[-*+•‣◦–]|\(?\d{1,3}[.)]|\(?[a-z]\))\s)"
    r"|(?P<heading>\#{1,6}\s)"
    r"|(?P<row>\||[^|]*\s\|\s|[^\t]*\S\t+\S)"
    r"|(?P<field>[\w./\[\]-]+(?:\ [\w./\[\]-]+){0,4}:\s)"
)
"""What a line is by its looks; anything else is prose, which may go on in the next line."""

_SHORT_LINE = 40
"""Below this many characters a line of prose without a full stop may be a heading."""


def _words(listed: str) -> frozenset[str]:
    return frozenset(listed.split())


_TITLES = _words(
    "dr mr mrs ms prof rev hon gen col capt cmdr lt sgt maj adm gov sen rep pres st mt ft messrs "
    "fig figs eq eqs ref refs vs cf ca approx viz e.g i.e"
)
"""Abbreviations after which a sentence practically never ends."""

_NUMBERED = _words("no nos nr p pp vol art sec ch chap par tab pl op")
"""Abbreviations only where a number follows: "No. 5", but "No. It is not."."""

_CLOSING = _words(
    "etc al inc ltd co corp jr sr bros dept univ est jan feb mar apr jun jul aug sep sept oct nov "
    "dec ave blvd rd ed eds"
)
"""Abbreviations that may also be a sentence's last word: the next word decides."""

_OPENERS = _words(
    "a after all also an and another any as at because before both but by during each for from "
    "had has have he her his how however i if in instead is it its later many most my no not of "
    "on one or other our several she since so some such that the their then there these they "
    "this those though through to under until was we were what when where which while who why "
    "with you"
)
"""Words that, capitalised after an abbreviation, begin a new sentence."""

_LONGEST_TOKEN = 24
_LAST_TOKEN = re.compile(r"[^\s(\[{\"'“‘]+$")
_NEXT_WORD = re.compile(r"\s*[\"'“‘«(\[]*(?P<word>\w+)?")
_DOTTED = re.compile(r"(?:[^\W\d_]\.)+[^\W\d_]{1,2}")


def sentences(text: str) -> list[tuple[int, int]]:
    """Spans `(start, end)` of the sentences of `text` in code points: in order, without overlap.

    No span is empty or begins or ends with white space, and only white space stands outside them.
    Headings, list items and table rows are sentences of their own; a line break inside prose is
    not an end. Takes time linear in the length of `text`.
    """
    return [span for start, end in blocks(text) for span in sentences_within(text, start, end)]


def blocks(text: str) -> Iterator[tuple[int, int]]:
    """Trimmed spans of text that no sentence crosses: paragraphs, headings, items and rows."""
    start = end = 0
    above, goes_on = "", False
    for line_start, line_end in _lines(text):
        line = text[line_start:line_end]
        if above and _separates(above, line, goes_on=goes_on):
            yield start, end
            above = ""
        if line and not above:
            start = line_start
        end = line_end if line else end
        goes_on = above[-1:].isalnum() or above[-1:] == ","
        above = line
    if above:
        yield start, end


def is_row(text: str, start: int, end: int) -> bool:
    """Whether the block is a list item, a table row or a record, by how its first line begins."""
    line_end = text.find("\n", start, end)
    return _kind(text[start : end if line_end < 0 else line_end]) in ("item", "row", "field")


def _lines(text: str) -> Iterator[tuple[int, int]]:
    """The trimmed span of each line, empty ones too."""
    offset = 0
    for line in text.split("\n"):
        start = offset + len(line) - len(line.lstrip())
        yield start, max(start, offset + len(line.rstrip()))
        offset += len(line) + 1


def _separates(above: str, below: str, *, goes_on: bool) -> bool:
    """Whether the line break between two trimmed lines ends a sentence; `above` is not empty.

    `goes_on`: the line `above` goes on with a sentence of the line before it.
    """
    if not below:
        return True
    kind_above, kind_below = _kind(above), _kind(below)
    if kind_above in ("rule", "heading", "row") or (not goes_on and _is_heading(above, below)):
        return True
    # Prose may well have a colon near the beginning of a line: one field alone proves nothing.
    return kind_above == "field" if kind_below == "field" else kind_below is not None


def _kind(line: str) -> str | None:
    found = _LINE_KIND.match(line)
    return found.lastgroup if found else None


def _is_heading(above: str, below: str) -> bool:
    """A short line that no punctuation ends, above one that begins like a sentence."""
    return len(above) < _SHORT_LINE and above[-1].isalnum() and not below[0].islower()


def sentences_within(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """The sentences of one block."""
    for found in _TERMINAL.finditer(text, start, end):
        after = found.end()
        if after < end and start < after and _ends(text, start, found):
            yield start, after
            start = _skip_space(text, after)
    yield start, end


def _skip_space(text: str, offset: int) -> int:
    while text[offset].isspace():
        offset += 1
    return offset


def _ends(text: str, start: int, found: re.Match[str]) -> bool:
    """Whether the sentence that began at `start` ends with this punctuation."""
    if found["cjk"]:
        return True
    after = found.end()
    if not text[after].isspace():
        return False
    word = _NEXT_WORD.match(text, after, after + _LONGEST_TOKEN)
    following = (word and word["word"]) or ""
    if following[:1].islower():
        return False
    if found["mark"] != "." or found["closing"]:
        return True
    return not _abbreviates(text, start, found.start(), following)


def _abbreviates(text: str, start: int, stop: int, following: str) -> bool:
    """Whether the full stop at `stop` belongs to the word before it rather than ends a sentence."""
    last = _LAST_TOKEN.search(text, max(start, stop - _LONGEST_TOKEN), stop)
    if last is None:
        return False
    token = last[0].lower()
    if token in _TITLES:
        return True
    if token in _NUMBERED:
        return following[:1].isdigit()
    if token.isalnum() and last.start() == start and (len(token) == 1 or token.isdecimal()):
        return True  # "1." or "J." opens the block
    if token in _CLOSING or _DOTTED.fullmatch(token):
        return following.lower() not in _OPENERS
    return _is_initial(text, start, last, following)


def _is_initial(text: str, start: int, last: re.Match[str], following: str) -> bool:
    """A single capital between names: "John F. Kennedy", "by J. R. Firth", but not "vitamin C."."""
    if not (len(last[0]) == 1 and last[0].isupper()):
        return False
    if len(following) == 1:
        return True
    before = text[max(start, last.start() - _LONGEST_TOKEN) : last.start()].split()
    among_names = bool(before) and (before[-1][0].isupper() or before[-1] == "and")
    return among_names and following.lower() not in _OPENERS
