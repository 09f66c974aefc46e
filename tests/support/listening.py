"""An application on a real port of this machine, in a thread of the test process."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from starlette.types import ASGIApp

_PATIENCE_S = 20


@contextmanager
def listening(app: ASGIApp, *, host: str = "127.0.0.1") -> Iterator[str]:
    """Its address, like http://127.0.0.1:40123, until it is stopped."""
    with socket.create_server((host, 0)) as opened:
        config = uvicorn.Config(app, log_level="error", timeout_graceful_shutdown=5)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [opened]}, daemon=True)
        thread.start()
        try:
            yield f"http://{host}:{opened.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(_PATIENCE_S)
            assert not thread.is_alive()
