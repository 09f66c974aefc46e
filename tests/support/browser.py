"""A real Chromium, wherever this machine has one, and a service on the loopback address for it."""

import os
import shutil
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
import uvicorn
from fastapi import FastAPI
from playwright.sync_api import Browser, sync_playwright

from rag_pipeline.pipeline import RagPipeline
from rag_pipeline.service.app import create_app

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_START_S = 30


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser without a window; skips the test where there is none."""
    with sync_playwright() as playwright:
        path = _program(Path(playwright.chromium.executable_path))
        # Chromium refuses its sandbox to root.
        arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = playwright.chromium.launch(executable_path=path, args=arguments)
        yield browser
        browser.close()


def _program(own: Path) -> Path:
    found = own if own.exists() else next(filter(None, map(shutil.which, _NAMES)), None)
    if found is None:
        pytest.skip(
            "this machine has no Chromium: run `playwright install chromium`,"
            " or install your system's package `chromium`"
        )
    return Path(found)


def service_of(rag: RagPipeline) -> AbstractContextManager[str]:
    """The address at which `rag` is served."""
    return served_app(create_app(rag))


@contextmanager
def served_app(app: FastAPI) -> Iterator[str]:
    """The address at which `app` is served, by a thread of this process."""
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="error"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    deadline = time.monotonic() + _START_S
    while not server.started:
        assert thread.is_alive(), "the service did not start"
        assert time.monotonic() < deadline, "the service takes too long to start"
        time.sleep(0.02)
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
        listening.close()
