"""Sound recordings: what the file says of itself. What is said in it takes a `MediaReader`."""

from collections.abc import Iterator
from io import BytesIO

from tinytag import TinyTag, TinyTagException

from ingest.errors import RefusedError
from ingest.normalise import one_line
from ingest.records import ParsedText

_TAGS = ("title", "artist", "album", "composer", "year", "genre", "comment")
_MAX_VALUE = 2_000


def parse(data: bytes, name: str = "") -> ParsedText:
    """A line that names the recording and its length, and a line for each tag.

    Raises RefusedError for what is no recording.
    """
    try:
        tag = TinyTag.get(filename=name or None, file_obj=BytesIO(data))
    except TinyTagException as error:
        raise RefusedError("it is not a whole recording: it is damaged or cut short") from error
    said = dict(_said(tag))
    length = f": {_clock(tag.duration)}" if tag.duration else ""
    lines = [f"Recording {one_line(name)}{length}", *(f"{key}: {said[key]}" for key in said)]
    seconds = {"duration_s": round(tag.duration, 1)} if tag.duration else {}
    return ParsedText(
        text="\n".join(lines), title=said.get("title", ""), metadata={**said, **seconds}
    )


def _said(tag: TinyTag) -> Iterator[tuple[str, str]]:
    for name in _TAGS:
        value = getattr(tag, name, None)
        if value and (text := one_line(str(value))[:_MAX_VALUE]):
            yield name, text


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}"
