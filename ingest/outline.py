"""Finds the headings of a text in which they are marked as in Markdown, and what is below which."""

import html
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from storage.records import Heading

MAX_HEADINGS = 20_000
"""Of one text; further ones are read as lines like any other, so that no outline outgrows it."""
_LONGEST_TITLE = 300
"""Characters; a longer line is no heading, whatever stands before it."""

_MARK = re.compile(
    r"^(?:[ \t]*+(?P<fence>`{3,}+(?=[^`\n]*+$)|~{3,}+)(?P<info>[^\n]*+)"
    r"| {0,3}+(?P<hashes>\#{1,6}+)[ \t]++(?=[^\s])"
    r"| {0,3}+(?P<underline>=++|-{2,}+)[ \t]*+$)",
    re.M,
)
"""A line that opens or closes code, is a heading, or may underline one."""
_LEVEL_OF = {"=": 1, "-": 2}
_NOT_A_TITLE = re.compile(r" {4}|\t|\s*(?:[>|#]|[-*+][ \t]|\d{1,9}[.)][ \t]|```|~~~|[-=*_ \t]+$)")
"""Lines that no underline makes a heading: code, quotes, rows, items, rules."""

_OWN_LINE = re.compile(r"\s*(?:#|=+$|-+$|$)")
"""What may stand above a title: a line that no paragraph goes on from."""

_CLOSING_HASHES = re.compile(r"(?:^|[ \t]+)#+$|[ \t]*\{#[^{}]*\}$")
_IMAGE_OR_LINK = re.compile(r"!?\[([^\]\[]*)\](?:\([^()]*\)|\[[^\]\[]*\])")
_TAG = re.compile(r"</?[A-Za-z][^<>]*>|<!--.*?-->")
_CODE_OR_STRONG = re.compile(r"(?<!\\)(`+|\*\*|__|~~)(?=\S)(.+?)(?<![\s\\])\1")
_EMPHASIS = re.compile(r"(?<![\w\\])([*_])(?=\S)([^*_]+?)(?<![\s\\])\1(?!\w)")
_ESCAPE = re.compile(r"\\([!-/:-@\[-`{-~])")


def headings(text: str) -> tuple[Heading, ...]:
    """The headings of `text` outside fenced code, in order: `# Title`, or a line underlined.

    `start` is where the line's first character stands, marks included; the title has no marks and
    is never empty. Takes time linear in the length of `text`.
    """
    return tuple(islice(_headings(text), MAX_HEADINGS))


def _headings(text: str) -> Iterator[Heading]:
    for mark in _outside_fences(text):
        if mark["hashes"]:
            start, level = mark.start("hashes"), len(mark["hashes"])
            line_end = _line_end(text, mark.end())
            found = _titled(text, start, mark.end(), line_end, level)
        else:
            found = _underlined(text, mark)
        if found is not None:
            yield found


def _outside_fences(text: str) -> Iterator[re.Match[str]]:
    """Marks that are not code: there `#` begins a comment. A fence left open is open to the end."""
    fence = ""
    for mark in _MARK.finditer(text):
        opened = mark["fence"]
        if not fence and opened:
            fence = opened
        elif not fence:
            yield mark
        elif opened and opened.startswith(fence) and not mark["info"].strip():
            fence = ""


def _underlined(text: str, mark: re.Match[str]) -> Heading | None:
    """The one line of text above an underline; below a paragraph of more it is a rule."""
    end = mark.start() - 1
    start = _line_start(text, end)
    line = text[start:end]
    if end < 1 or not line.strip() or _NOT_A_TITLE.match(line):
        return None
    above = text[_line_start(text, start - 1) : start - 1] if start else ""
    if above and not _OWN_LINE.match(above):
        return None
    start += len(line) - len(line.lstrip())
    return _titled(text, start, start, end, _LEVEL_OF[mark["underline"][0]])


def _titled(text: str, start: int, title_start: int, end: int, level: int) -> Heading | None:
    if end - title_start > _LONGEST_TITLE:
        return None
    title = plain_title(text[title_start:end])
    return Heading(start, level, title) if title else None


@dataclass(frozen=True, slots=True)
class Sections:
    """A text's sections by number. Number 0 is the whole text, and what precedes any heading."""

    starts: Sequence[int]
    """Where each begins, in the order of the text; a section's own text ends at the next start."""
    titles: Sequence[str]
    parents: Sequence[int]
    """The section around each; 0 is its own."""
    after: Sequence[int]
    """The number of the section that follows each and all that is below it."""


def sections(found: Sequence[Heading]) -> Sections:
    """The sections that headings, in the order of the text, divide it into."""
    count = len(found) + 1
    parents, after = [0] * count, [count] * count
    around = [0]
    for number, heading in enumerate(found, start=1):
        while around[-1] and found[around[-1] - 1].level >= heading.level:
            after[around.pop()] = number
        parents[number] = around[-1]
        around.append(number)
    return Sections(
        starts=[0, *(heading.start for heading in found)],
        titles=["", *(heading.title for heading in found)],
        parents=parents,
        after=after,
    )


def plain_title(marked: str) -> str:
    """A heading's text as a reader sees it: no closing #s, emphasis, links or tags."""
    title = _CLOSING_HASHES.sub("", marked.strip())
    title = _TAG.sub("", _IMAGE_OR_LINK.sub(r"\1", _IMAGE_OR_LINK.sub(r"\1", title)))
    title = _EMPHASIS.sub(r"\2", _CODE_OR_STRONG.sub(r"\2", title))
    return " ".join(html.unescape(_ESCAPE.sub(r"\1", title)).split())


def _line_start(text: str, end: int) -> int:
    """Where the line that ends at `end` begins, or just too far back to be a title."""
    beyond = max(0, end - _LONGEST_TITLE - 1)
    return max(beyond, text.rfind("\n", beyond, max(0, end)) + 1)


def _line_end(text: str, start: int) -> int:
    """Where the line ends, or just too far on to be a heading."""
    beyond = start + _LONGEST_TITLE + 1
    found = text.find("\n", start, beyond)
    return found if found >= 0 else min(beyond, len(text))
