"""Excel workbooks (Office Open XML): each row as a line that can be understood by itself.

Sheets are read as a stream of cells that hold something: neither a cell in the last row and column
nor a million formatted empty rows cost anything.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache, partial
from itertools import chain
from math import isfinite

from lxml import etree

from ingest.errors import SkippedError
from ingest.parse.core_properties import core_properties
from ingest.parse.lines import body, heading, limited
from ingest.parse.package import Package, attribute, malformed, opened
from ingest.parse.tables import Row, sheet_lines
from ingest.records import ParsedText

_STEP = 256 * 1024
_MAX_COLUMNS = 16_384

# ECMA-376 part 1, 18.8.30; those from 27 to 36 and 50 to 58 are dates in East Asian versions.
_BUILT_IN = (
    {1: "0", 2: "0.00", 3: "0", 4: "0.00", 9: "0%", 10: "0.00%", 22: "y h"}
    | dict.fromkeys((14, 15, 16, 17, *range(27, 37), *range(50, 59)), "y")
    | dict.fromkeys((18, 19, 20, 21, 45, 46, 47), "h")
)
_NOT_CODE = re.compile(r'"[^"]*"|\\.|_.|\*.|\[(?![hms]+\])[^\]]*\]', re.I)
_DECIMALS = re.compile(r"[^0#?]*[0#?][0#?,]*(?:\.([0#?]+))?[^0#?.]*$")
_LAST_DAY = 2_958_466
"""31 December 9999, in days."""

Format = Callable[[float], str]


@dataclass(frozen=True, slots=True)
class _Book:
    strings: list[str]
    formats: list[Format]
    """By the style of a cell."""


def parse(data: bytes) -> ParsedText:
    """A heading for each sheet that can be seen, then its rows as in a table in CSV.

    Formulas stand by the values that they had when the file was saved, dates in ISO 8601, numbers
    rounded as they are shown. Hidden sheets are left out: nobody who opens the file reads them, and
    they hold look-up lists and drafts. Hidden rows are kept: a filter that was left on hides them.
    Raises RefusedError for what is no workbook, needs a password or is packed like a bomb, and
    SkippedError for one without values.
    """
    with opened(data, "an Excel workbook") as package:
        name = _workbook(package)
        relations, workbook = package.relations(name), package.tree(name)
        parts = {relation.kind: relation.target for relation in relations.values()}
        book = _Book(
            _strings(package, parts.get("sharedStrings", "")),
            _formats(package, parts.get("styles", ""), _epoch(workbook)),
        )
        sheets = {
            relations[reference].target: title
            for title, reference in _visible_sheets(workbook)
            if reference in relations and relations[reference].kind == "worksheet"
        }
        blocks = (_sheet(package, part, title, book) for part, title in sheets.items())
        text = "\n".join(limited(chain.from_iterable(blocks)))
        properties = core_properties(package)
    if not text:
        raise SkippedError("it holds no values")
    return ParsedText(
        text=text, title=properties.pop("title", ""), metadata=properties, has_headings=True
    )


def _workbook(package: Package) -> str:
    parts = (r.target for r in package.relations("").values() if r.kind == "officeDocument")
    return next(parts, "xl/workbook.xml")


def _visible_sheets(workbook: etree._Element) -> Iterator[tuple[str, str]]:
    for sheet in workbook.iterfind("{*}sheets/{*}sheet"):
        if sheet.get("state", "visible") == "visible":
            yield sheet.get("name", ""), attribute(sheet, "id")


def _epoch(workbook: etree._Element) -> datetime:
    """The day 0 that serial dates count from."""
    properties = workbook.find("{*}workbookPr")
    since_1904 = properties is not None and properties.get("date1904") in ("1", "true")
    return datetime(1904, 1, 1) if since_1904 else datetime(1899, 12, 30)  # noqa: DTZ001


def _sheet(package: Package, part: str, title: str, book: _Book) -> Iterator[str]:
    lines = sheet_lines(_parsed(package, part, _SheetReader(book)))
    first = next(lines, None)
    if first is not None:
        yield heading(1, title)
        yield ""
        yield from map(body, chain((first,), lines))
        yield ""


def _parsed(package: Package, part: str, reader: "_SheetReader") -> Iterator[tuple[int, Row]]:
    for _ in _fed(package, part, reader):
        yield from reader.taken()


def _fed(package: Package, part: str, reader: "_SheetReader | _StringReader") -> Iterator[None]:
    """Hand one part to `reader` step by step; its tree, unlike itself, might not fit in memory."""
    content = package.xml(part)
    parser = etree.XMLParser(target=reader, resolve_entities=False, no_network=True)
    try:
        for start in range(0, len(content), _STEP):
            parser.feed(content[start : start + _STEP])
            yield
        parser.close()
    except etree.XMLSyntaxError as error:
        raise malformed(part, error) from error
    yield


@dataclass
class _SheetReader:
    """A target for lxml's parser that keeps no more than the row it is in."""

    book: _Book
    rows: list[tuple[int, Row]] = field(default_factory=list)
    number: int = 0
    row: dict[int, str] = field(default_factory=dict)
    column: int = -1
    cell: Mapping[str, str] = field(default_factory=dict)
    text: list[str] = field(default_factory=list)
    is_value: bool = False

    def taken(self) -> list[tuple[int, Row]]:
        """The rows that are complete, once."""
        rows, self.rows = self.rows, []
        return rows

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        name = tag.rpartition("}")[2]
        if name == "c":
            self.cell = attributes
            self.column = _column(attributes.get("r", ""), self.column + 1)
        elif name == "row":
            self.number = _whole(attributes.get("r"), self.number + 1)
        self.is_value = name in ("v", "t")

    def data(self, text: str) -> None:
        if self.is_value:
            self.text.append(text)

    def end(self, tag: str) -> None:
        name = tag.rpartition("}")[2]
        self.is_value = False
        if name == "c":
            self._end_cell()
        elif name == "row":
            if self.row:
                self.rows.append((self.number, self.row))
            self.row, self.column = {}, -1

    def close(self) -> None:
        """Nothing is left to do; lxml asks for it."""

    def _end_cell(self) -> None:
        if self.text and 0 <= self.column < _MAX_COLUMNS:
            shown = _shown(self.cell, "".join(self.text), self.book)
            if words := " ".join(shown.split()):
                self.row[self.column] = words
        self.text.clear()


@dataclass
class _StringReader:
    """A target that collects the shared strings, without the readings of Japanese words."""

    strings: list[str] = field(default_factory=list)
    text: list[str] = field(default_factory=list)
    is_text: bool = False
    phonetic: int = 0

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        name = tag.rpartition("}")[2]
        self.phonetic += name == "rPh"
        self.is_text = name == "t" and not self.phonetic

    def data(self, text: str) -> None:
        if self.is_text:
            self.text.append(text)

    def end(self, tag: str) -> None:
        name = tag.rpartition("}")[2]
        self.is_text = False
        self.phonetic -= name == "rPh"
        if name == "si":
            self.strings.append("".join(self.text))
            self.text.clear()

    def close(self) -> None:
        """Nothing is left to do; lxml asks for it."""


def _strings(package: Package, part: str) -> list[str]:
    reader = _StringReader()
    if part in package:
        for _ in _fed(package, part, reader):
            pass
    return reader.strings


def _column(reference: str, following: int) -> int:
    """The column of a cell such as "AB12", from 0; `following` where it does not say."""
    column = 0
    for letter in reference[:4]:
        if not "A" <= letter <= "Z":
            break
        column = column * 26 + ord(letter) - ord("A") + 1
    return column - 1 if column else following


def _whole(text: str | None, otherwise: int) -> int:
    return int(text) if text and text.isdecimal() and len(text) < 10 else otherwise


def _shown(cell: Mapping[str, str], text: str, book: _Book) -> str:
    """The value as Excel shows it; nothing for an error such as #N/A."""
    match cell.get("t", "n"):
        case "s":
            place = _whole(text, len(book.strings))
            return book.strings[place] if place < len(book.strings) else ""
        case "b":
            return "TRUE" if text.strip() == "1" else "FALSE"
        case "e":
            return ""
        case "n":
            return _number(text, _whole(cell.get("s"), 0), book.formats)
        case _:
            return text


def _number(text: str, style: int, formats: list[Format]) -> str:
    try:
        value = float(text)
    except ValueError:
        return text
    if not isfinite(value):
        return text
    return formats[style](value) if style < len(formats) else _plain(value)


def _formats(package: Package, part: str, epoch: datetime) -> list[Format]:
    if part not in package:
        return []
    styles = package.tree(part)
    codes = {
        _whole(found.get("numFmtId"), -1): found.get("formatCode", "")
        for found in styles.iterfind("{*}numFmts/{*}numFmt")
    }
    made = cache(lambda number: _format(number, codes.get(number), epoch))
    return [made(_whole(xf.get("numFmtId"), 0)) for xf in styles.iterfind("{*}cellXfs/{*}xf")]


def _format(number: int, code: str | None, epoch: datetime) -> Format:
    """What number format `number` makes of a value; `code` where the workbook defines it."""
    section = _NOT_CODE.sub("", _BUILT_IN.get(number, "") if code is None else code.split(";")[0])
    has_day, has_time = (bool(re.search(marks, section, re.I)) for marks in ("[dy]", "[hs]"))
    if has_day or has_time or re.search("m", section, re.I):
        return partial(_moment, epoch=epoch, has_day=has_day or not has_time, has_time=has_time)
    decimals = _DECIMALS.match(section)
    if not decimals:
        return _plain
    percent = "%" if "%" in section else ""
    return partial(_rounded, decimals=len(decimals.group(1) or ""), percent=percent)


def _plain(value: float) -> str:
    """Up to the 15 digits that Excel keeps."""
    return f"{value:.15g}" if abs(value) < 1e15 else f"{value:.0f}"


def _rounded(value: float, *, decimals: int, percent: str) -> str:
    return f"{value * 100 if percent else value:.{min(decimals, 15)}f}{percent}"


def _moment(value: float, *, epoch: datetime, has_day: bool, has_time: bool) -> str:
    if not 0 <= value < _LAST_DAY:
        return _plain(value)
    if not has_day:
        hours, seconds = divmod(round(value * 86_400), 3600)
        return f"{hours}:{seconds // 60:02}" + (f":{seconds % 60:02}" if seconds % 60 else "")
    # Excel believes that there was a 29 February 1900.
    early = timedelta(days=1 if epoch.year == 1899 and value < 60 else 0)
    moment = epoch + timedelta(seconds=round(value * 86_400)) + early
    return moment.isoformat(" ", "minutes") if has_time else moment.date().isoformat()
