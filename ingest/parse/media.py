"""What is to be heard or seen in a file, told by a model that the user brings."""

from dataclasses import replace
from typing import Protocol

from ingest.normalise import normalise
from ingest.parse.language import detect_language
from ingest.records import Part, ReadText


class MediaReader(Protocol):
    """A transcriber or a captioner."""

    def read(self, data: bytes, media_type: str) -> str:
        """What is said in a recording or shown in an image; empty for a type it can't read.

        `media_type` is as precise as the bytes tell: `audio/mpeg`, `image/png`. Raises IngestError
        for a file that it should be able to read and can't.
        """


def is_media(part: Part) -> bool:
    """Whether a reader is asked about `part`."""
    return part.media_type.startswith(("image/", "audio/")) and isinstance(part.content, ReadText)


def described(part: Part, data: bytes, reader: MediaReader) -> Part:
    """`part` with what `reader` makes of its bytes below its own text, and its language.

    Raises IngestError as the reader does.
    """
    content = part.content
    if not is_media(part) or not isinstance(content, ReadText):
        return part
    heard = normalise(reader.read(data, part.media_type))
    if not heard:
        return part
    text = f"{content.text}\n\n{heard}"
    return replace(part, content=replace(content, text=text, language=detect_language(heard)))
