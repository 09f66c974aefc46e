"""Rich Text Format, version 1.9.1: paragraphs, headings, lists, tables and notes."""

import codecs
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

from ingest.errors import RefusedError, SkippedError
from ingest.parse.lines import body, cells, heading, limited
from ingest.records import ParsedText

MAX_DEPTH = 1_000
"""Groups inside one another."""

_TOKEN = re.compile(
    rb"\\([a-zA-Z]{1,32})(-?\d{1,10})? ?|\\'([0-9a-fA-F]{2})|\\([^a-zA-Z])|([{}])|([^\\{}\r\n]+)"
)
_HEADING = re.compile(r"\s*heading (\d)", re.I)
_SKIPPED = frozenset(
    (
        *("colortbl", "pict", "objdata", "header", "headerl", "headerr", "headerf", "footer"),
        *("footerl", "footerr", "footerf", "annotation", "atnid", "atnauthor", "fldinst"),
        *("listtable", "listoverridetable", "revtbl", "rsidtbl", "nonshppict", "sp", "comment"),
        *("operator", "company", "manager", "category", "doccomm", "tc", "xe"),
    )
)
_STARRED = frozenset(("shpinst", "shptxt", "shpgrp", "footnote"))
"""Groups that old readers may skip, but that hold text."""
_PROPERTIES = frozenset(("title", "author", "subject", "keywords"))
_CHARACTERS = {
    **{"tab": "\t", "line": "\n", "lbr": "\n", "emdash": "—", "endash": "–", "bullet": "•"},
    **{"lquote": "‘", "rquote": "’", "ldblquote": "“", "rdblquote": "”"},
    **{"emspace": " ", "enspace": " ", "qmspace": " ", "nestcell": " ", "nestrow": " "},
}
_SYMBOLS = {b"~": "\xa0", b"_": "-", b"\\": "\\", b"{": "{", b"}": "}"}
_MARKS = frozenset(("listtext", "pntext"))
_PART_DESTINATIONS = frozenset(("fonttbl", "stylesheet", "footnote")) | _PROPERTIES | _MARKS
_CODE_PAGES = {
    **{77: "mac_roman", 128: "cp932", 129: "cp949", 134: "gbk", 136: "big5"},
    **{161: "cp1253", 162: "cp1254", 163: "cp1258", 177: "cp1255", 178: "cp1256", 186: "cp1257"},
    **{204: "cp1251", 222: "cp874", 238: "cp1250", 254: "cp437", 255: "cp850"},
}
"""Python's names, by the charset of a font; of 2, symbols, nobody knows the letters."""


def parse(data: bytes) -> ParsedText:
    """Headings in Markdown, list items with a dash, table rows as `cell | cell`; a footnote follows
    its paragraph.

    Hidden and deleted text, comments, and headers and footers are left out. Raises RefusedError for
    what is no RTF or is nested too deeply, and SkippedError for a document without text.
    """
    if not data.lstrip().startswith(b"{\\rtf"):
        raise RefusedError("it is not an RTF document: check the file")
    reader = _Reader()
    for token in _tokens(data):
        reader.read(token)
    text = "\n".join(limited(reader.finished()))
    if not text.strip():
        raise SkippedError("it holds no text")
    properties = {name: value for name, value in reader.properties.items() if value}
    return ParsedText(
        text=text, title=properties.pop("title", ""), metadata=properties, has_headings=True
    )


def _tokens(data: bytes) -> Iterator[re.Match[bytes]]:
    position = 0
    while token := _TOKEN.search(data, position):
        yield token
        position = token.end()
        if token.group(1) == b"bin":
            position += max(int(token.group(2) or 0), 0)


@dataclass(slots=True)
class _Group:
    """What ends with a closing brace."""

    destination: str = ""
    """What its text is for; empty for the document itself, `skipped` for nothing."""
    font: int = -1
    substitutes: int = 1
    """Characters after one in Unicode that stand in for it."""
    is_hidden: bool = False
    is_deleted: bool = False


@dataclass
class _Reader:
    """The document so far, and what stands open."""

    group: _Group = field(default_factory=_Group)
    outer: list[_Group] = field(default_factory=list)
    code_page: str = "cp1252"
    fonts: dict[int, str] = field(default_factory=dict)
    styles: dict[int, int] = field(default_factory=dict)
    """Levels of the styles that are headings."""
    style: int = 0
    properties: dict[str, str] = field(default_factory=dict)
    undecoded: bytearray = field(default_factory=bytearray)
    collected: list[str] = field(default_factory=list)
    """The text of a property or a style's name."""
    line: list[str] = field(default_factory=list)
    row: list[str] = field(default_factory=list)
    around_note: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    note_count: int = 0
    level: int = 0
    is_item: bool = False
    is_cell: bool = False
    is_starred: bool = False
    left_out: int = 0
    """Substitutes that are still to come."""
    lines: list[str] = field(default_factory=list)

    def read(self, token: re.Match[bytes]) -> None:
        word, number, byte, symbol, brace, text = token.groups()
        if word:
            self._control(word.decode("ascii"), None if number is None else int(number))
        elif byte:
            self._text(bytes.fromhex(byte.decode("ascii")))
        elif symbol:
            self._symbol(symbol)
        elif brace == b"{":
            self._open()
        elif brace:
            self._close()
        else:
            self._text(text)

    def finished(self) -> list[str]:
        """All lines, a blank one after each paragraph."""
        self.end_paragraph()
        self.end_row()
        return self.lines

    def _open(self) -> None:
        self.decode()
        self.left_out = 0
        if len(self.outer) >= MAX_DEPTH:
            raise RefusedError(f"its groups are nested more than {MAX_DEPTH:,} deep: it is broken")
        self.outer.append(self.group)
        self.group = replace(self.group)

    def _close(self) -> None:
        self.decode()
        self.left_out = 0
        closed = self.group
        if self.outer:
            self.group = self.outer.pop()
        if closed.destination == "stylesheet":
            self._end_style()
        elif closed.destination != self.group.destination:
            self._end_destination(closed.destination)

    def _end_style(self) -> None:
        if found := _HEADING.match("".join(self.collected)):
            self.styles[self.style] = int(found.group(1))
        self.collected.clear()
        self.style = 0

    def _end_destination(self, name: str) -> None:
        if name in _PROPERTIES:
            self.properties.setdefault(name, _whole("".join(self.collected)).strip())
            self.collected.clear()
        elif name == "footnote":
            self.notes.append(
                f"[{self.note_count}] " + " ".join(_whole("".join(self.line)).split())
            )
            self.line, self.around_note = self.around_note, []

    def _text(self, text: bytes) -> None:
        kept = text[self.left_out :]
        self.left_out -= len(text) - len(kept)
        if not self._is_unseen():
            self.undecoded += kept

    def _is_unseen(self) -> bool:
        group = self.group
        return group.is_hidden or group.is_deleted or group.destination == "skipped"

    def _symbol(self, symbol: bytes) -> None:
        if symbol == b"*":
            self.is_starred = True
        elif symbol in b"\r\n":
            self.end_paragraph()
        elif symbol in _SYMBOLS:
            self.write(_SYMBOLS[symbol])

    def _control(self, word: str, number: int | None) -> None:
        starred, self.is_starred = self.is_starred, False
        if self.left_out:
            self.left_out -= 1
        elif word in _PART_DESTINATIONS:
            self._start_destination(word)
        elif word in _SKIPPED or (starred and word not in _STARRED):
            self.group.destination = "skipped"
        elif word in _CHARACTERS:
            self.write(_CHARACTERS[word])
        elif word in _CONTROLS:
            _CONTROLS[word](self, 1 if number is None else number)

    def _start_destination(self, name: str) -> None:
        if self.group.destination == "skipped":
            return
        if name == "footnote" and self.group.destination == "":
            self.note_count += 1
            self.write(f"[{self.note_count}]")
            self.around_note, self.line = self.line, []
        self.is_item = self.is_item or name in _MARKS
        self.group.destination = name

    def decode(self) -> None:
        """Bytes wait for the next control word: a letter may have two."""
        if self.undecoded:
            encoding = self.fonts.get(self.group.font, self.code_page)
            text = self.undecoded.decode(encoding, errors="replace")
            self.undecoded.clear()
            self._keep(text)

    def write(self, text: str) -> None:
        self.decode()
        if not self._is_unseen():
            self._keep(text)

    def _keep(self, text: str) -> None:
        if self.group.destination in ("", "footnote"):
            self.line.append(text)
        elif self.group.destination not in _MARKS:
            self.collected.append(text)

    def write_unicode(self, number: int) -> None:
        self.write(chr(number % 0x10000))
        self.left_out = self.group.substitutes

    def end_paragraph(self) -> None:
        self.decode()
        if self.group.destination or self.is_cell:
            self.write(" ")
            return
        text = self._taken()
        if text and self.is_item:
            self.lines.append("- " + text)
        elif text:
            self.lines += ("", heading(self.level, text) if self.level else body(text), "")
        self.is_item = False
        self._tell_notes()

    def _taken(self) -> str:
        text = _whole("".join(self.line)).strip()
        self.line.clear()
        return text

    def _tell_notes(self) -> None:
        for note in self.notes:
            self.lines += (note, "")
        self.notes.clear()

    def end_cell(self) -> None:
        self.decode()
        self.row.append(self._taken())
        self.is_item = False

    def end_row(self) -> None:
        if line := cells(self.row):
            self.lines.append(body(line))
        self.row.clear()
        self._tell_notes()

    def start_paragraph(self) -> None:
        self.level, self.is_item, self.is_cell = 0, False, False

    def set_font(self, number: int) -> None:
        self.decode()
        self.group.font = number

    def set_charset(self, number: int) -> None:
        if number in _CODE_PAGES:
            self.fonts[self.group.font] = _CODE_PAGES[number]

    def set_code_page(self, number: int) -> None:
        try:
            self.code_page = codecs.lookup(f"cp{number}").name
        except LookupError:
            # A damaged number; Windows' Western European is what most files are in.
            self.code_page = "cp1252"

    def set_style(self, number: int) -> None:
        self.style = number
        self.level = self.styles.get(number, 0)

    def set_outline_level(self, number: int) -> None:
        if 0 <= number < 9:
            self.level = number + 1

    def set_hidden(self, number: int) -> None:
        self.decode()
        self.group.is_hidden = number != 0

    def set_deleted(self, number: int) -> None:
        self.decode()
        self.group.is_deleted = number != 0

    def set_substitutes(self, number: int) -> None:
        self.group.substitutes = min(max(number, 0), 8)

    def set_cell(self) -> None:
        self.is_cell = True

    def set_plain(self) -> None:
        self.set_hidden(0)
        self.set_deleted(0)


def _whole(text: str) -> str:
    """With the two halves of characters beyond U+FFFF joined."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


_CONTROLS: dict[str, Callable[[_Reader, int], None]] = {
    **dict.fromkeys(("par", "sect", "page", "column"), lambda reader, _: reader.end_paragraph()),
    "pard": lambda reader, _: reader.start_paragraph(),
    "plain": lambda reader, _: reader.set_plain(),
    "intbl": lambda reader, _: reader.set_cell(),
    "cell": lambda reader, _: reader.end_cell(),
    "row": lambda reader, _: reader.end_row(),
    "u": _Reader.write_unicode,
    "uc": _Reader.set_substitutes,
    "f": _Reader.set_font,
    "deff": _Reader.set_font,
    "fcharset": _Reader.set_charset,
    "ansicpg": _Reader.set_code_page,
    "s": _Reader.set_style,
    "outlinelevel": _Reader.set_outline_level,
    "v": _Reader.set_hidden,
    "deleted": _Reader.set_deleted,
}
