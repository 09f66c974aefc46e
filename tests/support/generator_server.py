"""Starts `openai_server` as a process of its own, tells it what to do, and reads what it saw."""

import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_ROOT = Path(__file__).parents[2]
_TINY = ({"id": "tiny", "object": "model"},)


@dataclass(frozen=True)
class GeneratorServer:
    """A running server."""

    port: int
    log: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def will(self, *steps: str, models: Sequence[Mapping[str, Any]] = _TINY) -> None:
        """Do this for the next requests, one each, and forget what was seen."""
        body = json.dumps({"steps": steps, "models": [*models]}).encode()
        asked = urllib.request.Request(f"http://127.0.0.1:{self.port}/script", body)
        with urllib.request.urlopen(asked) as answer:
            answer.read()
        self.log.write_text("")

    def seen(self) -> list[dict[str, Any]]:
        """What was asked, in order, and which answers nobody waited for."""
        return [json.loads(line) for line in self.log.read_text("utf-8").splitlines()]

    def chats(self) -> list[dict[str, Any]]:
        """The requests of chat/completions."""
        return [line for line in self.seen() if line.get("path") == "/v1/chat/completions"]

    def was_left(self, within_s: float = 5) -> bool:
        """Whether somebody left an answer before its end."""
        until = time.monotonic() + within_s
        while time.monotonic() < until:
            if any("left" in line for line in self.seen()):
                return True
            time.sleep(0.02)
        return False


@contextmanager
def generator_server(folder: Path | None, log: Path) -> Iterator[GeneratorServer]:
    """A server with the model in `folder`; without one it only does what it is told."""
    log.write_text("")
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "support.openai_server",
            str(log),
            *([str(folder)] if folder else []),
        ],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": f"{_ROOT}{os.pathsep}{_ROOT / 'tests'}"},
        text=True,
    )
    assert process.stdout is not None
    try:
        yield GeneratorServer(int(process.stdout.readline()), log)
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()
