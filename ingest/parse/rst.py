"""reStructuredText as a reader sees it: headings marked as in Markdown, markup made plain.

Read line by line and never run: directives that would include files or raw code are left out.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from ingest.parse.encoding import decode
from ingest.records import ParsedText


def _names(listed: str) -> frozenset[str]:
    return frozenset(listed.split())


_ADORNMENT = re.compile(r"([!-/:-@\[-`{-~])\1{2,}\s*$")
_SHORT_ADORNMENT = re.compile(r"([=\-~^\"'`#*+.:_])\1*\s*$")
_DIRECTIVE = re.compile(r"(\s*)\.\.\s+(?:\|[^|]+\|\s+)?([\w:+.-]+?)::(?:\s+(.*))?$")
_FOOTNOTE = re.compile(r"(\s*)\.\.\s+(\[[^\]]+\])\s+(.*)$")
_EXPLICIT = re.compile(r"(\s*)\.\.(?:\s|$)")
_OPTION = re.compile(r"\s*:([\w -]+):(?:\s+(.*))?$")
_BORDER = re.compile(r"\s*(?:\+[-=+]+\+|=+(?:\s+=+)+)\s*$")
_GRID_ROW = re.compile(r"\s*\|(.*)\|\s*$")
# Their content belongs to the page: said by name where the name says something.
_NAMED = {
    "note": "Note",
    "warning": "Warning",
    "caution": "Caution",
    "danger": "Danger",
    "attention": "Attention",
    "error": "Error",
    "important": "Important",
    "tip": "Tip",
    "hint": "Hint",
    "seealso": "See also",
    "deprecated": "Deprecated since",
    "versionadded": "New in version",
    "versionchanged": "Changed in version",
    "todo": "To do",
}
_CODE = _names("code code-block sourcecode parsed-literal math doctest")
_LEFT_OUT = _names(
    "include literalinclude raw toctree contents sectnum index highlight meta role default-role "
    "image replace unicode date currentmodule module automodule autoclass autofunction "
    "tabularcolumns title header footer class"
)
_ROLE = re.compile(r":[\w:+.-]+:`([^`<]*?)(?:\s*<[^`>]*>)?`")
_LINK = re.compile(r"`([^`<]+?)\s*<([^`>]+)>`__?")
_REFERENCE = re.compile(r"`([^`]+)`__?(?!\w)|(?<![\w`])(\w[\w.-]*\w)__?(?![\w`])")
_LITERAL = re.compile(r"``(.+?)``")
_SUBSTITUTION = re.compile(r"(?<!\w)\|(\w[^|\n]{0,80}?)\|(?:__?)?(?!\w)")


def parse(data: bytes) -> ParsedText:
    """Headings as `# Title`, notes as `Note: …`, code indented, links as their text.

    Comments, targets, options and what is included from elsewhere are left out. Fields before the
    first heading or right below it become metadata; the title is the first heading.
    """
    page = _Page(lines=[line.expandtabs(8).rstrip() for line in _lines(data)])
    page.read()
    return ParsedText(
        text="\n".join(page.out),
        title=page.title,
        metadata=page.fields,
        has_headings=True,
    )


@dataclass
class _Page:
    """The lines of a document, and what has been made of those above `position`."""

    lines: list[str]
    position: int = 0
    out: list[str] = field(default_factory=list)
    styles: list[str] = field(default_factory=list)
    """Adornments in the order of their first use: the n-th marks level n."""
    title: str = ""
    fields: dict[str, str] = field(default_factory=dict)

    def read(self) -> None:
        while self.position < len(self.lines):
            if not (self._heading() or self._explicit() or self._field()):
                self._line()

    def _at(self, offset: int) -> str:
        index = self.position + offset
        return self.lines[index] if index < len(self.lines) else ""

    def _heading(self) -> bool:
        first, second, third = self._at(0), self._at(1), self._at(2)
        over = _ADORNMENT.match(first)
        if over and second.strip() and _is_adorned(second, third) and third[:1] == first[:1]:
            self._add_heading(second, f"{first[0]} over", 3)
            return True
        is_text = bool(first.strip()) and not first.startswith(" ") and not over
        if is_text and _is_adorned(first, second) and not self._paragraph_above():
            self._add_heading(first, second[0], 2)
            return True
        return False

    def _paragraph_above(self) -> bool:
        above = self.lines[self.position - 1] if self.position else ""
        return bool(above.strip()) and not _EXPLICIT.match(above)

    def _add_heading(self, line: str, style: str, taken: int) -> None:
        if style not in self.styles:
            self.styles.append(style)
        title = _plain(line.strip())
        self.title = self.title or title
        level = min(self.styles.index(style) + 1, 6)
        self.out.extend(("", f"{'#' * level} {title}", ""))
        self.position += taken

    def _explicit(self) -> bool:
        line = self._at(0)
        if footnote := _FOOTNOTE.match(line):
            self.out.append(f"{footnote[2]} {_plain(footnote[3])}")
            self.position += 1
        elif directive := _DIRECTIVE.match(line):
            self.position += 1
            self._directive(directive[2].rpartition(":")[2], directive[3] or "", len(directive[1]))
        elif explicit := _EXPLICIT.match(line):
            self.position += 1
            self._indented(len(explicit[1]))
        else:
            return False
        return True

    def _directive(self, name: str, argument: str, indent: int) -> None:
        options = dict(self._options())
        if name in ("image", "figure") and options.get("alt"):
            self.out.extend((_plain(options["alt"]), ""))
        if name in _LEFT_OUT:
            self._indented(indent)
        elif name in _CODE:
            self.out.extend(("", *self._indented(indent), ""))
        else:
            self._block(name, "" if name == "figure" else argument, indent)

    def _block(self, name: str, argument: str, indent: int) -> None:
        """Content that is read like the rest of the page."""
        body = _dedented(self._indented(indent))
        label = f"{_NAMED[name]}: " if name in _NAMED else ""
        inner = _Page(lines=[label + argument, *body] if argument else _labelled(label, body))
        inner.title = "inside"
        inner.read()
        self.out.extend(("", *inner.out, ""))

    def _options(self) -> Iterator[tuple[str, str]]:
        while (option := _OPTION.match(self._at(0))) and self._at(0).startswith(" "):
            yield option[1], option[2] or ""
            self.position += 1

    def _indented(self, indent: int) -> list[str]:
        """The lines below that stand further in than `indent`."""
        start = self.position
        while self.position < len(self.lines):
            line = self.lines[self.position]
            if line.strip() and len(line) - len(line.lstrip()) <= indent:
                break
            self.position += 1
        return self.lines[start : self.position]

    def _field(self) -> bool:
        """A field of the document itself: its author, version, date."""
        found = _OPTION.match(self._at(0))
        above = [line for line in self.out if line.strip()]
        if not found or self._at(0).startswith(" ") or len(above) > 1 or self.title == "inside":
            return False
        self.position += 1
        more = " ".join(line.strip() for line in self._continued())
        self.fields[found[1].strip().lower()] = _plain(f"{found[2] or ''} {more}".strip())
        return True

    def _continued(self) -> Iterator[str]:
        while self._at(0).startswith(" ") and self._at(0).strip():
            yield self._at(0)
            self.position += 1

    def _line(self) -> None:
        line = self._at(0)
        self.position += 1
        if _BORDER.match(line):
            return
        if row := _GRID_ROW.match(line):
            self.out.append(" | ".join(_plain(cell).strip() for cell in row[1].split("|")))
        elif line.endswith("::"):
            self.out.append(_plain(line[:-1] if line[:-2].strip() else ""))
            indent = len(line) - len(line.lstrip())
            self.out.extend(self._indented(indent))
        elif not _ADORNMENT.match(line):
            self.out.append(_plain(line))


def _lines(data: bytes) -> list[str]:
    # A NUL stands for literals while the other marks of a line are read.
    return decode(data).replace("\0", "").splitlines()


def _is_adorned(title: str, below: str) -> bool:
    """Whether `below` underlines `title`: as long as it, or long enough to be meant."""
    found = _SHORT_ADORNMENT.match(below) or _ADORNMENT.match(below)
    return bool(found) and len(below) >= min(len(title.strip()), 4)


def _labelled(label: str, body: list[str]) -> list[str]:
    words = next((i for i, line in enumerate(body) if line.strip()), None)
    if not label or words is None:
        return body
    return [*body[:words], label + body[words], *body[words + 1 :]]


def _dedented(lines: list[str]) -> list[str]:
    indents = [len(line) - len(line.lstrip()) for line in lines if line.strip()]
    return [line[min(indents, default=0) :] for line in lines]


def _plain(text: str) -> str:
    literals: list[str] = []

    def keep(found: re.Match[str]) -> str:
        literals.append(found[1])
        return f"\x00{len(literals) - 1}\x00"

    text = _LITERAL.sub(keep, text)
    text = _LINK.sub(r"\1 (\2)", _ROLE.sub(r"\1", text))
    text = _REFERENCE.sub(lambda found: found[1] or found[2], text)
    text = _SUBSTITUTION.sub(r"\1", text)
    return re.sub("\x00(\\d+)\x00", lambda found: f"`{literals[int(found[1])]}`", text)
