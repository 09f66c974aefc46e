"""HTML as a reader sees it: its visible text, one block a line, without page furniture."""

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from selectolax.lexbor import LexborHTMLParser, LexborNode

from ingest.errors import RefusedError
from ingest.parse.encoding import decode, mark_of
from ingest.parse.lines import LINE_END, body
from ingest.records import ParsedText

MAX_OPEN_TAGS = 1_000
"""Elements inside one another. Building the tree takes time in the square of it."""


def _names(listed: str) -> frozenset[str]:
    return frozenset(listed.split())


_FURNITURE = _names(
    "script style template noscript nav iframe object canvas svg math head title select datalist "
    "dialog audio video button"
)
_BLOCKS = _names(
    "p div section article main header footer aside h1 h2 h3 h4 h5 h6 ul ol dl table blockquote "
    "pre figure form fieldset details hr address body"
)
_LINES = _names("li dt dd tr caption figcaption summary br legend option thead tbody tfoot")
_CELLS = frozenset(("td", "th"))
_MARKS = {"li": "- "} | {f"h{level}": "#" * level + " " for level in range(1, 7)}
_UNSEEN_STYLE = re.compile(
    r"display\s*:\s*none|visibility\s*:\s*hidden|(?:font-size|opacity)\s*:\s*0(?:\.0+)?(?![.\d])",
    re.I,
)
_CHARSET = re.compile(
    rb"<(?:meta|\?xml)[^>]{0,200}?(?:charset|encoding)\s*=\s*[\"']?\s*([\w.:-]+)", re.I
)
_CHARSET_WITHIN = 4096
"""Bytes; the HTML standard looks at 1024."""
# The HTML standard reads these names as the larger sets that contain them.
_LARGER_SETS = {"iso8859-1": "cp1252", "ascii": "cp1252", "gb2312": "gb18030"}
_DESCRIPTIONS = ("author", "description", "keywords", "date")

_TAG = re.compile(r"<(?:(!--)|(/?)([a-z][a-z0-9]*))", re.I)
_RAW_TEXT = _names("script style textarea title xmp iframe noembed noframes")
_NEVER_CLOSED = _names(
    "area base br col embed hr img input link meta source track wbr p li dt dd tr td th option "
    "thead tbody tfoot colgroup html head body"
)


def parse(data: bytes) -> ParsedText:
    """Visible text with Markdown headings and list marks; table rows as `cell | cell`.

    The title is `<title>`, else the first `<h1>`. Nothing that the page refers to is fetched.
    """
    markup = _decoded(data)
    if _open_tags(markup) > MAX_OPEN_TAGS:
        raise RefusedError(
            f"its elements are nested more than {MAX_OPEN_TAGS:,} deep: it is broken"
        )
    tree = LexborHTMLParser(markup)
    return ParsedText(
        text=_visible_text(tree), title=_title(tree), metadata=_metadata(tree), has_headings=True
    )


def _decoded(data: bytes) -> str:
    """By byte order mark, then as declared, then by what the bytes look like."""
    declared = _declared_encoding(data)
    if declared and not mark_of(data):
        try:
            return data.decode(declared)
        except UnicodeDecodeError:
            return decode(data)
    return decode(data)


def _declared_encoding(data: bytes) -> str | None:
    found = _CHARSET.search(data[:_CHARSET_WITHIN])
    if not found:
        return None
    try:
        name = codecs.lookup(found.group(1).decode("ascii")).name
    except (LookupError, UnicodeDecodeError):
        return None
    # A declaration that can be read as ASCII is not in UTF-16, whatever it says.
    return None if name.startswith(("utf-16", "utf-32")) else _LARGER_SETS.get(name, name)


def _open_tags(markup: str) -> int:
    """The most elements that stand open at once, by their tags alone."""
    depth = deepest = position = 0
    while tag := _TAG.search(markup, position):
        comment, closing, name = tag.groups()
        position = tag.end()
        if comment:
            position = _past(markup, "-->", position)
        elif closing:
            depth -= depth > 0 and name.lower() not in _NEVER_CLOSED
        elif name.lower() in _RAW_TEXT:
            position = _past(markup, f"</{name}", position)
        elif name.lower() not in _NEVER_CLOSED:
            depth += 1
            deepest = max(deepest, depth)
    return deepest


def _past(markup: str, end: str, position: int) -> int:
    """Where `end`, in either case, is over; the end of the page if it is not there."""
    found = re.compile(re.escape(end), re.I).search(markup, position)
    return found.end() if found else len(markup)


def _title(tree: LexborHTMLParser) -> str:
    for selector in ("head > title", "title", "h1"):
        node = tree.css_first(selector)
        if node is not None and (title := node.text().strip()):
            return title
    return ""


def _metadata(tree: LexborHTMLParser) -> dict[str, str]:
    """What the page's head says of author, subject and date."""
    said = {}
    for node in tree.css("meta[name][content]"):
        name, content = (node.attributes.get("name") or "").lower(), node.attributes.get("content")
        if name in _DESCRIPTIONS and content:
            said[name] = content
    return said


@dataclass
class _Page:
    """The text so far: finished lines, the line being written, and what stands open."""

    lines: list[str] = field(default_factory=list)
    line: list[str] = field(default_factory=list)
    mark: str = ""
    """What makes the next line with text a heading or a list item."""
    preformatted: int = 0
    cells: int = 0
    """Table cells that stand open: inside one, a row's text stays on its line."""

    def write(self, text: str) -> None:
        if self.preformatted and not self.cells:
            first, *rest = LINE_END.split(text)
            self.line.append(first)
            for line in rest:
                self.end_line()
                self.line.append(line)
        else:
            self.line.append(re.sub(r"\s+", " ", text))

    def end_line(self) -> None:
        if self.cells:
            self.line.append(" ")
            return
        text = "".join(self.line)
        self.line.clear()
        if self.preformatted:
            # Program text: a backslash would change what it says, a space does not.
            self.lines.append(text if body(text) == text else f" {text}")
        elif text.strip(" |"):
            line = re.sub(" {2,}", " ", text).strip()
            self.lines.append(self.mark + line if self.mark else body(line))
            self.mark = ""

    def end_block(self) -> None:
        self.end_line()
        if not self.cells:
            self.lines.append("")

    def start_cell(self, *, first: bool) -> None:
        if not first and not self.cells:
            self.line.append(" | ")
        self.cells += 1

    def text(self) -> str:
        self.end_block()
        return "\n".join(self.lines)


def _visible_text(tree: LexborHTMLParser) -> str:
    page = _Page()
    if tree.body is not None:
        for node, entering in _walk(tree.body):
            if node.is_text_node:
                page.write(node.text_content or "")
            elif entering:
                _enter(page, node)
            else:
                _leave(page, node)
    return page.text()


def _walk(root: LexborNode) -> Iterator[tuple[LexborNode, bool]]:
    """Visible nodes in document order; elements twice, when they begin and when they end."""
    pending = [(root, True)]
    while pending:
        node, entering = pending.pop()
        if not entering or node.is_text_node:
            yield node, entering
        elif node.is_element_node and _is_visible(node):
            yield node, True
            pending.append((node, False))
            pending.extend((child, True) for child in reversed(list(node.iter(include_text=True))))


def _is_visible(node: LexborNode) -> bool:
    if node.tag in _FURNITURE:
        return False
    attributes = node.attributes
    return not (
        "hidden" in attributes
        or attributes.get("aria-hidden") == "true"
        or attributes.get("role") in ("navigation", "search", "menu")
        or _UNSEEN_STYLE.search(attributes.get("style") or "")
    )


def _enter(page: _Page, node: LexborNode) -> None:
    tag = node.tag or ""
    if tag in _BLOCKS:
        page.end_block()
    elif tag == "br" and page.mark.startswith("#"):
        page.write(" ")
    elif tag in _LINES:
        page.end_line()
    if tag in _MARKS and not page.cells:
        page.mark = _MARKS[tag]
    elif tag == "pre":
        page.preformatted += 1
    elif tag in _CELLS and _is_layout(node):
        page.end_line()
    elif tag in _CELLS:
        page.start_cell(first=not _has_cell_before(node))


def _leave(page: _Page, node: LexborNode) -> None:
    tag = node.tag or ""
    if tag in _CELLS and not _is_layout(node):
        page.cells -= 1
    elif tag in _BLOCKS:
        page.end_block()
    elif (tag in _LINES and tag != "br") or tag in _CELLS:
        page.end_line()
    if tag in _MARKS and not page.cells:
        page.mark = ""
    elif tag == "pre":
        page.preformatted -= 1


def _has_cell_before(cell: LexborNode) -> bool:
    before = cell.prev
    while before is not None and before.tag not in _CELLS:
        before = before.prev
    return before is not None


def _is_layout(cell: LexborNode) -> bool:
    """Whether the cell only places things on the page: then its parts stay blocks of their own."""
    return cell.css_first("table, h1, h2, h3, h4, h5, h6") is not None
