"""The web page: files that a browser loads, and nothing that only one caller may see.

All of it is known when the process starts, so that a path is looked up in a table and never on
the disk. What the page shows it asks of the API, with whatever key the reader gives it.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import PurePosixPath
from typing import Final

from fastapi import APIRouter, HTTPException, Request, Response
from fastapi.responses import RedirectResponse

_MEDIA_TYPES: Final[Mapping[str, str]] = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
_INDEX = "index.html"
_HEADERS: Final[Mapping[str, str]] = {
    # Nothing from elsewhere and nothing inline; a script can't turn text into markup either.
    "Content-Security-Policy": (
        "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'none';"
        " frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    # Kept, and asked for again: a new version of the service is seen at once.
    "Cache-Control": "no-cache",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PageFile:
    """One file of the page, as it is sent."""

    body: bytes
    media_type: str
    tag: str
    """Its entity tag, quoted."""


def read_page() -> Mapping[str, PageFile]:
    """Every file of the page, by its path below the folder."""
    return dict(_below(files("rag_pipeline.service.page") / "files", PurePosixPath()))


def _below(folder: Traversable, path: PurePosixPath) -> list[tuple[str, PageFile]]:
    found: list[tuple[str, PageFile]] = []
    for entry in folder.iterdir():
        name = path / entry.name
        if entry.is_dir():
            found += _below(entry, name)
        elif name.suffix in _MEDIA_TYPES:
            found.append((str(name), _page_file(entry.read_bytes(), name.suffix)))
    return found


def _page_file(body: bytes, suffix: str) -> PageFile:
    tag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    return PageFile(body=body, media_type=_MEDIA_TYPES[suffix], tag=tag)


router = APIRouter(include_in_schema=False)
_FILES = read_page()


@router.get("/")
def index(request: Request) -> Response:
    """The page itself."""
    return _sent(_INDEX, request)


@router.get("/page/{path:path}")
def page_file(path: str, request: Request) -> Response:
    """A file that the page is made of."""
    return _sent(path, request)


@router.get("/favicon.ico")
def icon() -> Response:
    """The icon, where browsers look for one."""
    return RedirectResponse("/page/icon.svg", HTTPStatus.PERMANENT_REDIRECT)


@router.get("/documents/{document_id}")
@router.get("/prompts/{prompt_id}")
def deep_link(request: Request) -> Response:
    """The page at a document or an exchange: what citations outside of it link to.

    A redirection would lose what stands behind the `#`, which only the browser knows.
    """
    return _sent(_INDEX, request)


def _sent(path: str, request: Request) -> Response:
    file = _FILES.get(path)
    if file is None:
        raise HTTPException(HTTPStatus.NOT_FOUND, f"the page has no file {path!r}; open /")
    headers = {**_HEADERS, "ETag": file.tag}
    if _is_known(file.tag, request):
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
    return Response(file.body, media_type=file.media_type, headers=headers)


def _is_known(tag: str, request: Request) -> bool:
    shown = request.headers.get("if-none-match", "")
    return tag in (known.strip().removeprefix("W/") for known in shown.split(","))
