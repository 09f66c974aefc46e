"""XML of any vocabulary as readable text: paragraphs as they are, values after their names.

Entities are never expanded and nothing is fetched: a document that declares its own is refused.
"""

import html
from collections.abc import Iterator

from lxml import etree

from ingest.errors import RefusedError
from ingest.records import ParsedText


def _names(listed: str) -> frozenset[str]:
    return frozenset(listed.split())


_LONGEST_VALUE = 80
"""Characters; a longer text speaks for itself."""
_LONGEST_ATTRIBUTE = 200
# Shapes and layout, not words: only the text of these vocabularies is read.
_DRAWN = _names(
    "http://www.w3.org/2000/svg http://www.w3.org/1999/xhtml http://www.w3.org/1998/Math/MathML"
)
_UNSAID_ATTRIBUTES = _names(
    "id idref ref href src class style lang space type version base rel schemaLocation "
    "noNamespaceSchemaLocation"
)
_UNSEEN = _names("script style")


def parse(data: bytes) -> ParsedText:
    """A line for each element with text: `name: value` for short ones, the text of longer ones.

    Attributes come before, as `name attribute: value`. The title is the first element called
    `title`. Raises RefusedError for what is not well formed or declares entities of its own.
    """
    root = _root(data)
    titles = root.iter("{*}title")
    title = next(filter(None, (_words(element) for element in titles)), "")
    return ParsedText(text="\n".join(_lines(root)), title=title)


def _root(data: bytes) -> "etree._Element":
    parser = etree.XMLParser(
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
    )
    try:
        root = etree.fromstring(data, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise RefusedError(f"it is not well-formed XML: {error}") from error
    declared = root.getroottree().docinfo.internalDTD
    if declared is not None and next(declared.iterentities(), None) is not None:
        raise RefusedError("it declares entities of its own, which are not expanded: remove them")
    return root


def _lines(root: "etree._Element") -> Iterator[str]:
    """In document order, with a stack: depth is the parser's limit."""
    pending = [root]
    while pending:
        element = pending.pop()
        if not isinstance(element.tag, str) or _name(element) in _UNSEEN:
            continue
        yield from _attributes(element)
        if _is_running_text(element):
            yield _shown(element)
        else:
            pending.extend(reversed(element))


def _is_running_text(element: "etree._Element") -> bool:
    """Whether text stands in it, if only between the elements that are in it."""
    tails = (child.tail for child in element)
    return any(text and text.strip() for text in (element.text, *tails)) or any(
        child.tag is etree.Entity for child in element
    )


def _shown(element: "etree._Element") -> str:
    words = _words(element)
    is_value = len(element) == 0 and len(words) <= _LONGEST_VALUE and not _is_drawn(element)
    return f"{_name(element)}: {words}" if is_value and words else words


def _words(element: "etree._Element") -> str:
    return " ".join("".join(_running_text(element)).split())


def _running_text(element: "etree._Element") -> Iterator[str]:
    yield element.text or "" if isinstance(element.tag, str) else ""
    for child in element:
        if child.tag is etree.Entity:
            # A name that HTML knows; any other stays as it was written.
            yield html.unescape(child.text or "")
        elif isinstance(child.tag, str) and _name(child) not in _UNSEEN:
            yield from _running_text(child)
        yield child.tail or ""


def _attributes(element: "etree._Element") -> Iterator[str]:
    if _is_drawn(element):
        return
    said = [
        f"{local}: {value.strip()}"
        for name, value in element.attrib.items()
        if (local := etree.QName(str(name)).localname) not in _UNSAID_ATTRIBUTES
        and 0 < len(value.strip()) <= _LONGEST_ATTRIBUTE
    ]
    if said:
        yield f"{_name(element)} {'; '.join(said)}"


def _name(element: "etree._Element") -> str:
    return str(etree.QName(element).localname)


def _is_drawn(element: "etree._Element") -> bool:
    return etree.QName(element).namespace in _DRAWN
