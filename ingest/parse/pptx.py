"""PowerPoint presentations (Office Open XML): a slide a page, with its tables, charts and notes.

The order of the shapes is that in which PowerPoint reads them out, the title first. Slides that a
show skips are kept: who opens the file sees them, and the numbers of the pages stay PowerPoint's.
"""

from collections.abc import Iterator

from lxml import etree

from ingest.errors import SkippedError
from ingest.parse.core_properties import core_properties
from ingest.parse.lines import body, cells, heading, limited
from ingest.parse.package import Package, Relation, attribute, local_name, opened
from ingest.records import PAGE_BREAK, ParsedText

_TITLES = frozenset(("title", "ctrTitle"))
_FURNITURE = frozenset(("dt", "ftr", "hdr", "sldNum", "sldImg"))
"""Placeholders for what stands on every slide."""


def parse(data: bytes) -> ParsedText:
    """Titles as headings, list items with a dash, table rows as `cell | cell`, then "Notes:".

    Raises RefusedError for what is no presentation, needs a password or is packed like a bomb, and
    SkippedError for one without text.
    """
    with opened(data, "a PowerPoint presentation") as package:
        slides = [_on_one_page(_slide(package, name)) for name in _slides(package)]
        text = "".join(limited(slides))
        properties = core_properties(package)
    if not text.strip():
        raise SkippedError("it holds no text: its slides may be pictures")
    return ParsedText(
        text=text,
        title=_said_title(properties.pop("title", "")),
        metadata={**properties, "pages": len(slides)},
        has_headings=True,
        has_pages=True,
    )


def _on_one_page(blocks: Iterator[str]) -> str:
    text = "\n\n".join(filter(None, limited(blocks)))
    return text.replace(PAGE_BREAK, " ") + PAGE_BREAK


def _said_title(title: str) -> str:
    """Without what PowerPoint itself puts there, in English or not."""
    return "" if title.casefold().startswith(("powerpoint", "slide 1")) else title


def _slides(package: Package) -> list[str]:
    """The names of the slides' parts, each once, in the order of the presentation."""
    roots = (r.target for r in package.relations("").values() if r.kind == "officeDocument")
    name = next(roots, "ppt/presentation.xml")
    relations = package.relations(name)
    listed = package.tree(name).iterfind("{*}sldIdLst/{*}sldId")
    named = (relations.get(_reference(slide)) for slide in listed)
    return list(dict.fromkeys(found.target for found in named if found and found.kind == "slide"))


def _reference(element: etree._Element) -> str:
    """The `r:id`, which stands beside another `id` without a namespace."""
    return next((str(v) for k, v in element.items() if str(k).endswith("}id")), "")


def _slide(package: Package, name: str) -> Iterator[str]:
    relations = package.relations(name)
    shapes = list(_shapes(package.tree(name)))
    titles = [shape for shape in shapes if _placeholder(shape) in _TITLES]
    yield from (heading(1, " ".join(_paragraphs(shape))) for shape in titles)
    for shape in shapes:
        if shape not in titles and _placeholder(shape) not in _FURNITURE:
            yield from _blocks(package, relations, shape)
    yield from _notes(package, relations)


def _shapes(root: etree._Element) -> Iterator[etree._Element]:
    """Shapes and frames in order, those in groups in the place of their group."""
    for element in root.iterfind("{*}cSld/{*}spTree//*"):
        if local_name(element) in ("sp", "graphicFrame") and not _is_for_old_readers(element):
            yield element


def _is_for_old_readers(element: etree._Element) -> bool:
    return any(local_name(outer) == "Fallback" for outer in element.iterancestors())


def _placeholder(shape: etree._Element) -> str:
    """What the shape is a placeholder for; `body` where it does not say, empty for none."""
    found = shape.find("{*}nvSpPr/{*}nvPr/{*}ph")
    return "" if found is None else found.get("type", "body")


def _blocks(
    package: Package, relations: dict[str, Relation], shape: etree._Element
) -> Iterator[str]:
    if local_name(shape) != "graphicFrame":
        lines = list(_paragraphs(shape))
        mark = "- " if _placeholder(shape) == "body" and len(lines) > 1 else ""
        yield "\n".join(body(mark + line) for line in lines)
        return
    yield "\n".join(filter(None, map(_row, shape.iterfind(".//{*}tbl/{*}tr"))))
    for element in shape.iterfind(".//{*}graphicData/*"):
        yield from _linked(package, relations, element)


def _row(row: etree._Element) -> str:
    return body(cells(" ".join(_paragraphs(cell)) for cell in row.iterchildren("{*}tc")))


def _paragraphs(shape: etree._Element) -> Iterator[str]:
    for paragraph in shape.iterfind(".//{*}txBody/{*}p"):
        if text := _text(paragraph).strip():
            yield text


def _text(paragraph: etree._Element) -> str:
    parts = paragraph.iterdescendants("{*}t", "{*}br")
    return "".join("\n" if local_name(part) == "br" else part.text or "" for part in parts)


def _linked(
    package: Package, relations: dict[str, Relation], element: etree._Element
) -> Iterator[str]:
    """The texts of a chart or of a SmartArt diagram, which are parts of their own."""
    kind, reference = local_name(element), "dm" if local_name(element) == "relIds" else "id"
    relation = relations.get(attribute(element, reference))
    if relation is None or relation.target not in package:
        return
    if kind == "chart":
        yield from _chart(package.tree(relation.target))
    elif kind == "relIds":
        points = package.tree(relation.target).iterfind(".//{*}pt/{*}t/{*}p")
        yield "\n".join(body(f"- {text}") for text in map(_text, points) if text.strip())


def _chart(root: etree._Element) -> Iterator[str]:
    """Its title, then a line for each series: `name: category value; category value`."""
    title = root.find("{*}chart/{*}title")
    if title is not None:
        yield body(" ".join(_text(p) for p in title.iterfind(".//{*}p")).strip())
    yield "\n".join(body(_series(series)) for series in root.iter("{*}ser"))


def _series(series: etree._Element) -> str:
    name = " ".join(_values(series, "tx"))
    categories, values = _values(series, "cat"), _values(series, "val")
    if len(categories) != len(values):
        categories = [""] * len(values)
    pairs = map(" ".join, zip(categories, values, strict=True))
    return f"{name}: {'; '.join(map(str.strip, pairs))}"


def _values(series: etree._Element, of: str) -> list[str]:
    return [value.text or "" for value in series.iterfind(f"{{*}}{of}//{{*}}pt/{{*}}v")]


def _notes(package: Package, relations: dict[str, Relation]) -> Iterator[str]:
    for relation in relations.values():
        if relation.kind == "notesSlide" and relation.target in package:
            for shape in _shapes(package.tree(relation.target)):
                if _placeholder(shape) == "body" and (lines := list(_paragraphs(shape))):
                    yield "Notes: " + body("\n".join(lines))
