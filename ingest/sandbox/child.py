"""The process that parses: it reads requests from one pipe, answers on another, and can do no more.

Started by `ingest.sandbox.parser_process`, never imported by it. Whatever goes wrong ends it: the
parent tells the person who has the document, and starts another.
"""

import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from pkgutil import resolve_name
from typing import BinaryIO, TypeAlias

from ingest.records import Part, RawDocument
from ingest.sandbox.confinement import allow_time, confine, end_with_parent, wait_without_end
from ingest.sandbox.messages import OUT_OF_MEMORY, read_request, write_answer, write_hello
from ingest.settings import ParseSettings

Parse: TypeAlias = Callable[[RawDocument, ParseSettings], list[Part]]


def main() -> None:
    """Answer until there are no more requests.

    Arguments: the function that parses as `package.module:function`, its settings as JSON, and the
    parent's process id.
    """
    function, settings, parent = sys.argv[1:]
    end_with_parent(int(parent))
    limits = ParseSettings.model_validate_json(settings)
    parse: Parse = resolve_name(function)
    # Python finds the folder for temporary files by writing to it.
    tempfile.tempdir = os.devnull
    requests, answers = _private_pipes()
    write_hello(answers, confine(limits))
    try:
        _serve(parse, limits, requests, answers)
    except EOFError:
        return
    except MemoryError:
        os._exit(OUT_OF_MEMORY)


def _serve(parse: Parse, limits: ParseSettings, requests: BinaryIO, answers: BinaryIO) -> None:
    while True:
        raw = read_request(requests)
        allow_time(limits.timeout_s)
        write_answer(answers, parse(raw, limits))
        wait_without_end()


def _private_pipes() -> tuple[BinaryIO, BinaryIO]:
    """The pipes to the parent, out of reach of a library that prints something."""
    requests, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    with Path(os.devnull).open("rb") as nothing:
        os.dup2(nothing.fileno(), 0)
    os.dup2(2, 1)
    return requests, answers
