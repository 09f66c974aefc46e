"""What an Office Open XML document says of itself."""

from collections.abc import Iterator

from lxml import etree

from ingest.parse.package import Package, local_name

_NAMES = {
    "title": "title",
    "creator": "author",
    "subject": "subject",
    "keywords": "keywords",
    "modified": "modified",
}


def core_properties(package: Package) -> dict[str, str]:
    """Title, author, subject, keywords and the time of the last change, where they are said."""
    parts = (r.target for r in package.relations("").values() if r.kind == "core-properties")
    part = next(parts, "")
    return dict(_said(package.tree(part))) if part in package else {}


def _said(root: etree._Element) -> Iterator[tuple[str, str]]:
    for element in root:
        name, text = _NAMES.get(local_name(element)), (element.text or "").strip()
        if name and text:
            yield name, text
