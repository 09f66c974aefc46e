"""What one service process answers under load, and what becomes of that when there is too much.

    python benchmarks/service.py HOME queries.jsonl --clients 1,2,8,100,1000 --seconds 5

HOME has been ingested into. The service is `rag serve` in a process of its own on this machine;
this one is the clients, each on a connection of its own: it searches, waits for the answer, and
searches again; told to come back later (429), it does. Every answer is compared with what a single
client got for the same query. At the end requests come at `--overload` times the best rate,
whether or not they are answered.
"""

import asyncio
import contextlib
import json
import math
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Coroutine, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from urllib.parse import urlsplit

import click

from rag_pipeline.evaluation.trec import read_lines

STARTS_WITHIN_S = 120
LIMIT = 10
OK, TOO_MANY = 200, 429


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back for one request."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(slots=True)
class Tally:
    """What happened at one level of load."""

    clients: int
    statuses: Counter[int] = field(default_factory=Counter)
    different: int = 0
    """Answers that a single client was given otherwise."""
    seconds: list[float] = field(default_factory=list)
    """Of each answer, sent to received."""
    took: float = 0.0
    processor_s: float = 0.0
    """That the service used meanwhile."""

    @property
    def goodput(self) -> float:
        return len(self.seconds) / self.took

    @property
    def processor_ms(self) -> float:
        """Of each answer, with what was spent on others."""
        return 1000 * self.processor_s / max(1, len(self.seconds))

    def line(self) -> str:
        """For a table."""
        ordered = sorted(self.seconds) or [math.nan]
        p50, p95 = (ordered[int(len(ordered) * part)] * 1000 for part in (0.5, 0.95))
        turned_away = self.statuses[TOO_MANY]
        others = sum(self.statuses.values()) - len(self.seconds) - turned_away
        return (
            f"{self.clients:>7} {self.goodput:>9.1f} {p50:>8.0f} {p95:>8.0f}"
            f" {self.processor_ms:>8.1f} {turned_away:>7} {others:>7} {self.different:>9}"
        )


HEAD = (
    f"{'clients':>7} {'answers/s':>9} {'p50 ms':>8} {'p95 ms':>8} {'CPU ms':>8}"
    f" {'429':>7} {'errors':>7} different"
)


class Connection:
    """HTTP/1.1 over one connection, kept open: as little work as can be, for both share a CPU."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def post(self, path: str, body: bytes) -> Answer:
        self._writer.write(
            b"POST %s HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
            b"Content-Length: %d\r\n\r\n%s" % (path.encode(), len(body), body)
        )
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1").splitlines()
        headers = {
            name.lower(): value.strip()
            for name, _, value in (line.partition(":") for line in head[1:] if line)
        }
        content = b"".join([piece async for piece in self._pieces(headers)])
        return Answer(int(head[0].split()[1]), headers, content)

    async def _pieces(self, headers: Mapping[str, str]) -> AsyncIterator[bytes]:
        """What follows the head, of a length that it tells or in chunks that tell theirs."""
        if "content-length" in headers:
            yield await self._reader.readexactly(int(headers["content-length"]))
            return
        while size := int(await self._reader.readuntil(b"\r\n"), 16):
            yield (await self._reader.readexactly(size + 2))[:-2]
        await self._reader.readuntil(b"\r\n")

    def close(self) -> None:
        self._writer.close()


@contextlib.asynccontextmanager
async def connected(url: str) -> AsyncIterator[Connection]:
    place = urlsplit(url)
    connection = Connection(*await asyncio.open_connection(place.hostname, place.port))
    try:
        yield connection
    finally:
        connection.close()


@dataclass(frozen=True, slots=True)
class Served:
    """A service in a process of its own."""

    url: str
    pid: int

    def processor_s(self) -> float:
        """That it has used so far."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextlib.contextmanager
def served(home: Path) -> Iterator[Served]:
    """A service over `home`, until it is not needed any more."""
    with tempfile.NamedTemporaryFile("r") as log:
        command = [sys.executable, "-m", "rag_pipeline", "--home", str(home), "serve"]
        with Path(log.name).open("w") as said:
            process = subprocess.Popen([*command, "--port", "0"], stderr=said)
        try:
            yield Served(_address(Path(log.name), process), process.pid)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait()


def _address(log: Path, process: "subprocess.Popen[bytes]") -> str:
    deadline = time.monotonic() + STARTS_WITHIN_S
    while time.monotonic() < deadline and process.poll() is None:
        if found := re.search(r"serving on (\S+);", log.read_text()):
            return found[1]
        time.sleep(0.1)
    raise click.ClickException(f"the service did not start: {log.read_text()}")


def bodies(queries: Path) -> list[bytes]:
    """What is asked, one after the other."""
    texts = [text for _, text in read_lines(queries, ("text", "question"))]
    return [json.dumps({"query": text, "limit": LIMIT}).encode() for text in texts]


async def alone(url: str, asked: Sequence[bytes]) -> dict[bytes, bytes]:
    """What a single client is answered."""
    found = {}
    async with connected(url) as connection:
        for body in asked:
            answer = await connection.post("/api/search", body)
            if answer.status != OK:
                raise click.ClickException(answer.body.decode())
            found[body] = answer.body
    return found


async def one_search(
    connection: Connection, body: bytes, expected: Mapping[bytes, bytes], tally: Tally
) -> Answer:
    started = time.perf_counter()
    answer = await connection.post("/api/search", body)
    tally.statuses[answer.status] += 1
    if answer.status == OK:
        tally.seconds.append(time.perf_counter() - started)
        tally.different += answer.body != expected[body]
    return answer


async def waiting_clients(
    service: Served, clients: int, expected: Mapping[bytes, bytes], *, seconds: float
) -> Tally:
    """So many clients, each of which waits for its answer, or as long as it is told to."""
    tally, asked = Tally(clients), cycle(expected)
    ends = time.monotonic() + seconds

    async def ask() -> None:
        async with connected(service.url) as connection:
            while time.monotonic() < ends:
                answer = await one_search(connection, next(asked), expected, tally)
                if answer.status == TOO_MANY:
                    pause = float(answer.headers["retry-after"])
                    await asyncio.sleep(min(pause, max(0.0, ends - time.monotonic())))

    await timed(tally, service, (ask() for _ in range(clients)))
    return tally


async def relentless_clients(
    service: Served,
    clients: int,
    expected: Mapping[bytes, bytes],
    *,
    rate: float,
    seconds: float,
) -> Tally:
    """Requests at `rate` a second, over so many connections, however they fare."""
    tally, asked = Tally(clients), cycle(expected)
    started = time.monotonic()
    due = iter(range(int(rate * seconds)))

    async def ask() -> None:
        async with connected(service.url) as connection:
            for number in due:
                await asyncio.sleep(started + number / rate - time.monotonic())
                if time.monotonic() - started > seconds:
                    return
                await one_search(connection, next(asked), expected, tally)

    await timed(tally, service, (ask() for _ in range(clients)))
    return tally


async def timed(
    tally: Tally, service: Served, clients: Iterable[Coroutine[None, None, object]]
) -> None:
    """Let all of `clients` do what they do, and note how long that took and what it cost."""
    started, used = time.monotonic(), service.processor_s()
    await asyncio.gather(*clients)
    tally.took = time.monotonic() - started
    tally.processor_s = service.processor_s() - used


async def measured(
    service: Served,
    asked: Sequence[bytes],
    levels: Sequence[int],
    *,
    seconds: float,
    overload: float,
) -> None:
    expected = await alone(service.url, asked)
    print(HEAD)
    best, cheapest = 0.0, math.inf
    for clients in levels:
        tally = await waiting_clients(service, clients, expected, seconds=seconds)
        print(tally.line(), flush=True)
        best, cheapest = max(best, tally.goodput), min(cheapest, tally.processor_ms)
    rate = overload * best
    tally = await relentless_clients(service, max(levels), expected, rate=rate, seconds=seconds)
    sent = sum(tally.statuses.values()) / tally.took
    print(f"{rate:.0f} requests a second wanted, {sent:.0f} sent, whatever comes back:")
    print(tally.line())
    print(
        f"goodput under overload: {tally.goodput / best:.0%} of the best by the clock,"
        f" {cheapest / tally.processor_ms:.0%} by processor time"
    )


@click.command(help=__doc__.replace("\n\n    ", "\n\n\b\n    "))
@click.argument("home", type=click.Path(path_type=Path, exists=True))
@click.argument("queries", type=click.Path(path_type=Path, exists=True))
@click.option("--clients", default="1,2,8,100,1000", show_default=True)
@click.option("--seconds", type=float, default=5.0, show_default=True)
@click.option("--overload", type=float, default=10.0, show_default=True)
@click.option("--most-queries", type=int, default=100, show_default=True)
def main(
    home: Path, queries: Path, clients: str, seconds: float, overload: float, most_queries: int
) -> None:
    levels = [int(level) for level in clients.split(",")]
    asked = bodies(queries)[:most_queries]
    with served(home) as service:
        asyncio.run(measured(service, asked, levels, seconds=seconds, overload=overload))


if __name__ == "__main__":
    main()
