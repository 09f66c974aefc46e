"""A server that speaks OpenAI's protocol with a tiny model behind it, and fails as it is told to.

    python -m support.openai_server LOG [MODEL_FOLDER]

prints its port, then serves. `POST /script` takes a list of what the next requests of
chat/completions get, one each; afterwards the model answers again. Every request, and every
answer that nobody waited for, is a line of JSON in LOG.
"""

import json
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from rag_pipeline.generation.language_model import Sampling, Turn
from rag_pipeline.generation.transformers_model import TransformersModel

SILENCE_S = 3.0


class _Served(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, log: Path, folder: Path | None) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.log = log
        self.script: list[str] = []
        self.models: list[dict[str, Any]] = [{"id": "tiny", "object": "model"}]
        self.lock = threading.Lock()
        if folder is not None:
            self.model = TransformersModel(folder, name="tiny", weights_sha256="", threads=1)
            self.model.count_tokens("load it now")

    def note(self, **what: Any) -> None:
        with self.lock, self.log.open("a", encoding="utf-8") as file:
            file.write(json.dumps(what) + "\n")

    def next_step(self) -> str:
        with self.lock:
            return self.script.pop(0) if self.script else "answer"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Whoever leaves early is noted elsewhere."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Served

    def log_message(self, *_: Any) -> None: ...

    def do_GET(self) -> None:
        self.server.note(path=self.path, headers=self._shown(), at=time.monotonic())
        if self.path != "/v1/models":
            self._json(404, {"error": {"message": "no such path"}})
        elif self.server.models and "status" in self.server.models[0]:
            self._json(self.server.models[0]["status"], "not offered")
        else:
            self._json(200, {"object": "list", "data": self.server.models})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path == "/script":
            self.server.script = body["steps"]
            self.server.models = body["models"]
            self._json(200, {})
            return
        self.server.note(path=self.path, headers=self._shown(), body=body, at=time.monotonic())
        name, _, detail = self.server.next_step().partition(":")
        getattr(self, f"_{name}")(body, detail)

    def _shown(self) -> dict[str, str]:
        return {name.lower(): value for name, value in self.headers.items()}

    def _json(self, status: int, body: Any, **headers: str) -> None:
        content = body.encode() if isinstance(body, str) else json.dumps(body).encode()
        self.send_response(status)
        for header, value in {"Content-Type": "application/json", **headers}.items():
            self.send_header(header.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _answer(self, body: Any, detail: str) -> None:
        """What the tiny model writes, with its count of tokens unless `detail` is "uncounted"."""
        turns = [Turn(said["role"], said["content"]) for said in body["messages"]]
        begun = turns.pop().text if body.get("continue_final_message") else ""
        sampling = Sampling(
            max_new_tokens=body["max_tokens"],
            temperature=body["temperature"],
            top_p=body["top_p"],
            seed=body["seed"],
            stop=tuple(body.get("stop", ())),
        )
        model = self.server.model
        stream = model.generate(model.render(turns, begun=begun), sampling=sampling)
        self._begin()
        try:
            while True:
                try:
                    self._send(_delta(next(stream)))
                except StopIteration as ended:
                    self._finish(ended.value, counted=detail != "uncounted")
                    return
        except OSError:
            self.server.note(left=True, at=time.monotonic())
        finally:
            stream.close()

    def _finish(self, ended: Any, *, counted: bool) -> None:
        self._send(_delta(None, finish_reason=ended.finish_reason))
        if counted:
            usage = {
                "prompt_tokens": ended.prompt_tokens,
                "completion_tokens": ended.completion_tokens,
                "total_tokens": ended.prompt_tokens + ended.completion_tokens,
            }
            self._send({"object": "chat.completion.chunk", "choices": [], "usage": usage})
        self._end()

    def _says(self, body: Any, text: str) -> None:
        """`text`, word by word."""
        self._begin()
        for piece in _words(text):
            self._send(_delta(piece))
        self._send(_delta(None, finish_reason="stop"))
        self._end()

    def _drips(self, body: Any, text: str) -> None:
        """`text` without end, slowly enough that whoever leaves is noticed."""
        self._begin()
        try:
            while True:
                self._send(_delta(text))
                time.sleep(0.01)
        except OSError:
            self.server.note(left=True, at=time.monotonic())

    def _floods(self, body: Any, text: str) -> None:
        self._begin()
        try:
            while True:
                self._send(_delta(text * 64))
        except OSError:
            self.server.note(left=True, at=time.monotonic())

    def _status(self, body: Any, detail: str) -> None:
        """`detail` is the status, and what `Retry-After` says, if anything."""
        status, _, after = detail.partition(",")
        headers = {"Retry_After": after} if after else {}
        self._json(int(status), {"error": {"message": f"told to say {status}"}}, **headers)

    def _tells(self, body: Any, detail: str) -> None:
        """A refusal that repeats the key that it was shown."""
        shown = self.headers.get("Authorization", "")
        self._json(int(detail), {"error": {"message": f"wrong key: {shown}"}})

    def _replies(self, body: Any, detail: str) -> None:
        """A status, then a body as it stands."""
        status, _, text = detail.partition(",")
        self._json(int(status), text)

    def _toolong(self, body: Any, detail: str) -> None:
        message = "This model's maximum context length is 64 tokens."
        self._json(400, {"error": {"message": message, "code": "context_length_exceeded"}})

    def _hangs_up(self, body: Any, detail: str) -> None:
        self.close_connection = True

    def _silent(self, body: Any, detail: str) -> None:
        time.sleep(SILENCE_S)
        self.close_connection = True

    def _stalls(self, body: Any, text: str) -> None:
        """`text`, then nothing, with the connection left open."""
        self._begin()
        for piece in _words(text):
            self._send(_delta(piece))
        time.sleep(SILENCE_S)
        self.close_connection = True

    def _cut(self, body: Any, text: str) -> None:
        """`text`, then the end of the connection in the middle of a chunked body."""
        self._begin()
        self._send(_delta("", role="assistant"))
        for piece in _words(text):
            self._send(_delta(piece))
        self.close_connection = True

    def _unfinished(self, body: Any, text: str) -> None:
        """`text`, then a proper end of the body without a reason to finish."""
        self._begin()
        for piece in _words(text):
            self._send(_delta(piece))
        self._write(b"")
        self.close_connection = True

    def _fails(self, body: Any, text: str) -> None:
        """`text`, then an error in the stream."""
        self._begin()
        for piece in _words(text):
            self._send(_delta(piece))
        self._send({"error": {"message": "out of memory", "type": "server_error"}})
        self._end()

    def _raw(self, body: Any, text: str) -> None:
        """A stream of one event with `text` for data."""
        self._begin()
        self._write(f"data: {text}\n\n".encode())
        self._end()

    def _page(self, body: Any, text: str) -> None:
        self._json(200, f"<html><body>{text}</body></html>", Content_Type="text/html")

    def _begin(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()

    def _send(self, event: Any) -> None:
        self._write(f"data: {json.dumps(event)}\n\n".encode())

    def _end(self) -> None:
        self._write(b"data: [DONE]\n\n")
        self._write(b"")

    def _write(self, content: bytes) -> None:
        self.wfile.write(f"{len(content):x}\r\n".encode() + content + b"\r\n")
        self.wfile.flush()


def _words(text: str) -> Iterator[str]:
    for number, word in enumerate(text.split(" ") if text else []):
        yield word if number == 0 else f" {word}"


def _delta(
    content: str | None, *, finish_reason: str | None = None, role: str | None = None
) -> dict[str, Any]:
    delta = {"content": content, "role": role}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "tiny",
        "choices": [
            {
                "index": 0,
                "delta": {name: value for name, value in delta.items() if value is not None},
                "finish_reason": finish_reason,
            }
        ],
    }


if __name__ == "__main__":
    served = _Served(Path(sys.argv[1]), Path(sys.argv[2]) if sys.argv[2:] else None)
    sys.stdout.write(f"{served.server_address[1]}\n")
    sys.stdout.flush()
    served.serve_forever()
