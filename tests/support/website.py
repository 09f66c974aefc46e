"""A web site on the loopback address whose pages, states and headers a test says."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(slots=True)
class Page:
    """What is answered; with an entity tag a page that is known is not sent again."""

    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class WebSite:
    """Pages by path; `asked` says what was requested, in order."""

    url: str
    port: int
    pages: dict[str, Page] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    answered: list[int] = field(default_factory=list)
    user_agents: set[str] = field(default_factory=set)

    def put(self, path: str, body: str | bytes, *, status: int = 200, **headers: str) -> None:
        data = body.encode() if isinstance(body, str) else body
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.pages[path] = Page(data, status, named)

    def redirect(self, path: str, target: str, *, status: int = 302) -> None:
        self.pages[path] = Page(status=status, headers={"Location": target})


@contextmanager
def served() -> Iterator[WebSite]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    port = server.server_address[1]
    site = WebSite(url=f"http://127.0.0.1:{port}", port=port)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            site.asked.append(self.path)
            site.user_agents.add(self.headers.get("User-Agent", ""))
            page = site.pages.get(self.path, Page(status=404))
            tag = page.headers.get("ETag")
            known = tag is not None and self.headers.get("If-None-Match") == tag
            site.answered.append(304 if known else page.status)
            self.send_response(304 if known else page.status)
            for name, value in page.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", "0" if known else str(len(page.body)))
            self.end_headers()
            if not known:
                self.wfile.write(page.body)

        def log_message(self, *arguments: object) -> None:
            pass

    server.RequestHandlerClass = Handler
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield site
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
