"""How a place in a document is shown to a person."""

from collections.abc import Sequence

_SHOWN_CHARACTERS = 60


def place_in(
    source: str,
    *,
    page: int | None,
    last_page: int | None = None,
    headings: Sequence[str],
    start: int,
    end: int,
) -> str:
    """`report.pdf · page 3 · Results › Costs [120–480]`, with what is known of it."""
    parts = [source]
    if page is not None:
        is_several = last_page is not None and last_page > page
        parts.append(f"pages {page}–{last_page}" if is_several else f"page {page}")
    if headings:
        parts.append(" › ".join(map(_short, headings)))
    return f"{' · '.join(parts)} [{start}–{end}]"


def _short(heading: str) -> str:
    line = " ".join(heading.split())
    return line if len(line) <= _SHOWN_CHARACTERS else f"{line[:_SHOWN_CHARACTERS]}…"
