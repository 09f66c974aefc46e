"""Cuts a text into chunks: by its sections, then by paragraphs, sentences and rows.

A chunk is a span of the text, so that `chunk.text == text[start:end]` and every quote from it can
be found again in the document. What the embedder is given names the place too: the title, and the
headings above the chunk.

Small sections below one heading share a chunk while all of each fits; a section that does not fit
is cut on its own. So a change inside a section too long for one chunk changes no chunk that holds
none of its text, and their vectors are used again.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from operator import itemgetter

from ingest.outline import Sections, sections
from ingest.settings import ChunkSettings
from ingest.units import Span, Tokenizer, Unit, units
from storage.records import Outline

CHUNKER_VERSION = "3"

_CONTEXT_SHARE = 4
"""Title and headings may take a quarter of what the embedder reads."""
_PREFACE_SHARE = 8
"""What stands between a heading and its first subsection, and would fill less than an eighth of a
chunk, goes with that subsection even if this is too long for one chunk."""


@dataclass(frozen=True, slots=True)
class Cut:
    """A chunk: `text[start:end]`, and what the embedder is given for it."""

    start: int
    end: int
    embedded: str


@dataclass(frozen=True, slots=True)
class _Layout:
    """A text's units in its sections, and what they take."""

    text: str
    units: Sequence[Unit]
    sections: Sections
    rooms: Sequence[int]
    """For each section the tokens that its context leaves."""
    sums: Sequence[int]
    """Tokens of all units before each, and of all."""
    bodies: Sequence[int]
    """Units before each, and in all, that are no headings."""
    firsts: Sequence[int]
    """For each section its first unit, and at last the number of units."""

    def context(self, unit: int) -> int:
        """The section that a chunk beginning there is named by; a heading names itself."""
        section = self.units[unit].section
        opens = self.units[unit].start == self.sections.starts[section]
        return self.sections.parents[section] if opens else section

    def room(self, unit: int) -> int:
        """Tokens that a chunk beginning there may have besides its context."""
        return self.rooms[self.context(unit)]

    def tokens(self, first: int, stop: int) -> int:
        return self.sums[stop] - self.sums[first]

    def fits(self, first: int, stop: int) -> bool:
        return self.tokens(first, stop) <= self.room(first)

    def is_bare(self, first: int, stop: int) -> bool:
        """Whether they are headings without any text."""
        return self.bodies[first] == self.bodies[stop]

    def opens_paragraph(self, unit: int) -> bool:
        return self.text.count("\n", self.units[unit - 1].end, self.units[unit].start) > 1


@dataclass(frozen=True, slots=True)
class _Run:
    """Neighbouring units that are one chunk, or cut without regard to what is around them."""

    first: int
    stop: int
    below: int
    """The section whose own text and subsections it consists of."""


def cut(
    text: str,
    *,
    title: str,
    outline: Outline,
    omitted: Sequence[Span],
    tokenizer: Tokenizer,
    max_tokens: int,
    settings: ChunkSettings,
) -> list[Cut]:
    """The chunks of `text`, in order, that cover every character of it but white space.

    `embedded` has at most `max_tokens` tokens: the title and the headings above the chunk, then
    the chunk without what `omitted` spans of it; in a text of which nothing would be left, nothing
    is omitted. A chunk begins with those last sentences of the one before, in the same section,
    that fit into the overlap.
    """
    omitted = _disjoint(omitted)
    headings = outline.headings if settings.by_structure else ()
    shape = sections([h for h in headings if not _is_inside(h.start, omitted)])
    contexts = _contexts(title, shape, tokenizer, max_tokens // _CONTEXT_SHARE)
    limit = settings.max_tokens or max_tokens
    rooms = [min(max_tokens - used, limit) for used in tokenizer.count(contexts)]
    layout = _layout(text, shape, rooms, omitted, tokenizer)
    if not layout.units:
        omitted = ()
        layout = _layout(text, shape, rooms, omitted, tokenizer)
    cuts: list[Cut] = []
    for first, stop in _chunks(layout, settings):
        start, end = _span(layout, first, stop)
        context = contexts[layout.context(first)]
        own = _without(text, start, end, omitted)
        cuts.append(Cut(start, end, f"{context}\n{own}" if context else own))
    return cuts


def _layout(
    text: str,
    shape: Sections,
    rooms: Sequence[int],
    omitted: Sequence[Span],
    tokenizer: Tokenizer,
) -> _Layout:
    found = units(text, shape, omitted=omitted, tokenizer=tokenizer, rooms=_narrowest(shape, rooms))
    owners = [unit.section for unit in found]
    return _Layout(
        text=text,
        units=found,
        sections=shape,
        rooms=rooms,
        sums=list(accumulate((unit.tokens for unit in found), initial=0)),
        bodies=list(accumulate((not unit.is_heading for unit in found), initial=0)),
        firsts=[bisect_left(owners, section) for section in range(len(shape.starts) + 1)],
    )


def _narrowest(shape: Sections, rooms: Sequence[int]) -> list[int]:
    """For each section the least room in it or above it: what fits there fits into any chunk."""
    least = list(rooms)
    for section, parent in enumerate(shape.parents):
        least[section] = min(least[section], least[parent])
    return least


def _chunks(layout: _Layout, settings: ChunkSettings) -> Iterator[Span]:
    """The first unit of each chunk and the one after its last."""
    for run in _runs(layout):
        yield from _filled(layout, run, settings)


def _runs(layout: _Layout) -> Iterator[_Run]:
    """Whole sections that share a chunk, and the own text of sections that do not fit."""
    open_run: _Run | None = None
    for run in _whole_or_own(layout):
        if open_run is None:
            open_run = run
        elif _joins(layout, open_run, run):
            open_run = _Run(open_run.first, run.stop, run.below)
        else:
            yield open_run
            open_run = run
    if open_run is not None:
        yield open_run


def _whole_or_own(layout: _Layout) -> Iterator[_Run]:
    section, count = 0, len(layout.sections.starts)
    while section < count:
        first, after = layout.firsts[section], layout.sections.after[section]
        whole = _Run(first, layout.firsts[after], layout.sections.parents[section])
        if first < whole.stop and layout.fits(first, whole.stop):
            yield whole
            section = after
        else:
            own = _Run(first, layout.firsts[section + 1], section)
            section += 1
            if own.first < own.stop:
                yield own


def _joins(layout: _Layout, run: _Run, following: _Run) -> bool:
    """Whether they fit together below one heading, or `run` says too little to stand alone."""
    fits = layout.fits(run.first, following.stop)
    head = layout.units[run.first].section
    is_inside = layout.units[following.first].section < layout.sections.after[head]
    if layout.is_bare(run.first, run.stop):
        around = layout.sections.after[layout.sections.parents[head]]
        is_beside = layout.units[following.first].section < around
        return is_beside and (fits or not layout.is_bare(following.first, following.stop))
    says_little = layout.tokens(run.first, run.stop) * _PREFACE_SHARE < layout.room(run.first)
    return (is_inside and says_little) or (fits and run.below == following.below)


def _filled(layout: _Layout, run: _Run, settings: ChunkSettings) -> Iterator[Span]:
    """The chunks of one run, each as full as its units allow, or to the end of a paragraph."""
    first = new = run.first
    while new < run.stop:
        stop = bisect_right(layout.sums, layout.sums[first] + layout.room(first)) - 1
        stop = min(max(stop, new + 1), run.stop)
        if settings.by_structure and stop < run.stop:
            stop = _paragraph_end(layout, first, new, stop)
        yield first, stop
        new = stop
        if new < run.stop:
            first = _overlapping(layout, first, new, settings.overlap_tokens)


def _paragraph_end(layout: _Layout, first: int, new: int, stop: int) -> int:
    """The last end of a paragraph that leaves a chunk at least half full, else `stop`."""
    at_least = layout.room(first) / 2
    for end in range(stop, new, -1):
        if layout.tokens(first, end) < at_least:
            break
        if layout.opens_paragraph(end):
            return end
    return stop


def _overlapping(layout: _Layout, first: int, new: int, overlap_tokens: int) -> int:
    """The first of the sentences before `new` that the next chunk begins with.

    Never all of the chunk, never a heading, and nothing of another section.
    """
    budget = min(overlap_tokens, layout.rooms[layout.units[new].section] - layout.units[new].tokens)
    begin = new
    while budget > 0 and begin - 1 > first and _can_repeat(layout, begin - 1, new, budget):
        begin -= 1
    return begin


def _can_repeat(layout: _Layout, begin: int, new: int, budget: int) -> bool:
    section = layout.units[new].section
    return (
        layout.tokens(begin, new) <= budget
        and layout.units[begin].section == section
        and layout.context(begin) == section
    )


def _span(layout: _Layout, first: int, stop: int) -> Span:
    """Where a chunk begins and ends; what is omitted goes with the unit before it."""
    text, found = layout.text, layout.units
    start = found[first].start if first else len(text) - len(text.lstrip())
    begin_of_last = found[stop - 1].start
    before = found[stop].start if stop < len(found) else len(text)
    return start, begin_of_last + len(text[begin_of_last:before].rstrip())


def _contexts(title: str, shape: Sections, tokenizer: Tokenizer, max_tokens: int) -> list[str]:
    """For each section what names it: the title, and below it the headings down to its own."""
    paths: list[tuple[str, ...]] = []
    for section, heading in enumerate(shape.titles):
        above = paths[shape.parents[section]] if section else ()
        repeats = not section or heading.casefold() == title.casefold()
        paths.append(above if repeats else (*above, heading))
    whole = [_named(title, path) for path in paths]
    counts = tokenizer.count(whole)
    return [
        context if tokens <= max_tokens else _shortened(title, path, tokenizer, max_tokens)
        for context, path, tokens in zip(whole, paths, counts, strict=True)
    ]


def _named(title: str, path: Sequence[str]) -> str:
    return "\n".join(filter(None, (title, " > ".join(path))))


def _shortened(title: str, path: Sequence[str], tokenizer: Tokenizer, max_tokens: int) -> str:
    """The title's beginning and that of the nearest heading, which says most."""
    if not path:
        return _beginning(title, tokenizer, max_tokens)
    halves = (_beginning(part, tokenizer, max_tokens // 2) for part in (title, path[-1]))
    return "\n".join(filter(None, halves))


def _beginning(text: str, tokenizer: Tokenizer, max_tokens: int) -> str:
    """As many of its first tokens as are no more when they are counted on their own."""
    offsets = tokenizer.offsets(text)
    if len(offsets) <= max_tokens:
        return text
    for tokens in range(max_tokens, 0, -1):
        shorter = text[: offsets[tokens][0]].rstrip()
        if sum(tokenizer.count([shorter])) <= max_tokens:
            return shorter
    return ""


def _disjoint(spans: Sequence[Span]) -> list[Span]:
    """The same characters as spans in order, none touching another."""
    joined: list[Span] = []
    for start, end in sorted(spans):
        if joined and start <= joined[-1][1]:
            joined[-1] = joined[-1][0], max(end, joined[-1][1])
        elif start < end:
            joined.append((start, end))
    return joined


def _is_inside(offset: int, spans: Sequence[Span]) -> bool:
    """Whether one of the disjoint `spans` holds `offset`."""
    begun = bisect_right(spans, offset, key=itemgetter(0))
    return begun > 0 and offset < spans[begun - 1][1]


def _without(text: str, start: int, end: int, omitted: Sequence[Span]) -> str:
    """`text[start:end]` without the disjoint spans `omitted`, a line break in place of each."""
    parts: list[str] = []
    at = bisect_right(omitted, start, key=itemgetter(1))
    while at < len(omitted) and omitted[at][0] < end:
        parts.append(text[start : omitted[at][0]].strip())
        start = omitted[at][1]
        at += 1
    parts.append(text[start:end].strip())
    return "\n".join(filter(None, parts))
