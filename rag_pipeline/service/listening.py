"""Listens on an address and serves until it is told to stop; answers under way are finished."""

import os
import socket
import sys
from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI
from uvicorn import Config, Server
from uvicorn.supervisors import Multiprocess

from rag_pipeline.pipeline import RagPipeline
from rag_pipeline.service.app import create_app
from rag_pipeline.service.errors import ListeningError
from rag_pipeline.service.metrics import shared_by_workers
from rag_pipeline.settings import Settings

_BACKLOG = 2048
_KEPT_ALIVE_S = 75
"""Longer than clients keep a connection that they do not use, and than they are told to wait: what
is closed under a request that is just being sent looks to them like a failure."""
_SWITCH_S = 0.0005
"""Shorter than what a search computes, longer than what it takes to hand the interpreter on."""
_HEALTHY_WITHIN_S = 60
"""A process that says nothing for so long is ended; one that loads a model may be silent."""
_WORKER = "rag_pipeline.service.worker:worker"
_LOG_CONFIG: Mapping[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {"names": {"()": "rag_pipeline.service.middleware.RequestNames"}},
    "formatters": {
        "line": {"format": "%(asctime)s %(levelname)s %(process)d %(request_id)s %(message)s"}
    },
    "handlers": {
        "stderr": {"class": "logging.StreamHandler", "formatter": "line", "filters": ["names"]}
    },
    "root": {"handlers": ["stderr"], "level": "WARNING"},
    "loggers": {"rag_pipeline.service.access": {"level": "INFO"}},
}


def listening_socket(host: str, port: int) -> socket.socket:
    """A socket that takes connections from now on; port 0: any that is free.

    Raises `ListeningError`.
    """
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        made = socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except OSError as error:
        raise ListeningError(
            f"port {port} of {host!r} can't be listened on: {error.strerror or error};"
            " choose another with --port or --host"
        ) from error
    made.set_inheritable(True)
    return made


def address_of(listening: socket.socket) -> str:
    """Where a browser finds it."""
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def serve_here(rag: RagPipeline, listening: socket.socket) -> None:
    """Serve `rag` in this process until SIGTERM or Ctrl-C, which it then raises again."""
    serve_app(create_app(rag), rag.settings, listening)


def serve_app(app: FastAPI, settings: Settings, listening: socket.socket) -> None:
    """Serve any application like that."""
    share_interpreter()
    Server(Config(app, **_options(settings))).run(sockets=[listening])


def share_interpreter() -> None:
    """Let the thread that reads and sends have the interpreter soon, whatever searches go on.

    It needs it anew after each call into the system, and would wait 5 ms each time for a thread
    that computes: a flood of requests that cost next to nothing would then be a queue of seconds.
    """
    sys.setswitchinterval(_SWITCH_S)


def serve_in_workers(settings: Settings, listening: socket.socket, *, workers: int) -> None:
    """Serve in so many processes, each with a pipeline that it opens itself."""
    os.environ["RAG_HOME"] = str(settings.home)
    if settings.database_url is not None:
        os.environ["RAG_DATABASE_URL"] = settings.database_url
    config = Config(_WORKER, factory=True, workers=workers, **_options(settings))
    with shared_by_workers():
        Multiprocess(config, sockets=[listening]).run()


def _options(settings: Settings) -> dict[str, Any]:
    return {
        "log_config": dict(_LOG_CONFIG),
        "access_log": False,
        "server_header": False,
        "proxy_headers": False,
        "backlog": _BACKLOG,
        "timeout_keep_alive": _KEPT_ALIVE_S,
        "timeout_worker_healthcheck": _HEALTHY_WITHIN_S,
        "timeout_graceful_shutdown": max(1, round(settings.service.shutdown_s)),
    }
