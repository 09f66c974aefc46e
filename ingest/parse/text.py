"""Plain text, and what is close to it: reStructuredText and logs."""

import re

from ingest.parse.encoding import decode
from ingest.records import ParsedText

# Colours and cursor moves (ECMA-48) that programs leave in logs, and terminal titles.
_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b\n]*(?:\x07|\x1b\\)?)")


def parse(data: bytes) -> ParsedText:
    """The text as it stands, less terminal escape sequences; plain text has no title."""
    return ParsedText(text=_ESCAPES.sub("", decode(data)))
