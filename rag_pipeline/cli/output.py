"""How commands speak: results on stdout, everything else on stderr, errors in one line."""

import json
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn, TextIO

import click

from ingest.errors import IngestError
from rag_pipeline.errors import RagError
from storage.errors import StorageError

FAILED = 1
_OURS = (StorageError, IngestError, RagError)


def print_json(document: Mapping[str, Any] | list[Any]) -> None:
    """One JSON document, as a line of UTF-8."""
    click.echo(json.dumps(document, ensure_ascii=False, allow_nan=False))


def say(message: str) -> None:
    """A word to the person at the terminal."""
    click.echo(message, err=True)


@contextmanager
def writing(path: Path) -> Iterator[TextIO]:
    """The file at `path`, emptied, to write UTF-8 to; one clear line where that can't be done."""
    try:
        file = path.open("w", encoding="utf-8")
    except OSError as error:
        raise click.FileError(str(path), hint=f"{error.strerror}; name another file") from error
    with file:
        yield file


@contextmanager
def one_line_errors(*, debug: bool) -> Iterator[None]:
    """Turn exceptions into one clear line and exit status 1; with `debug`, show them whole."""
    try:
        yield
    except _OURS as error:
        if debug:
            raise
        _fail(str(error))
    except KeyboardInterrupt:
        _fail("stopped; what was committed is kept, and running it again goes on from there")
    except BrokenPipeError:
        # The reader of our output has gone, as `head` does; Python must not flush to it again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(FAILED) from None
    except (click.exceptions.Exit, click.ClickException, click.Abort):
        raise
    except Exception as error:
        if debug:
            raise
        reason = " ".join(str(error).split()) or type(error).__name__
        _fail(f"{type(error).__name__}: {reason} (run `rag --debug …` for the details)")


def _fail(message: str) -> NoReturn:
    say(f"Error: {message}")
    raise SystemExit(FAILED)
