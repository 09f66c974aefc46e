"""What one service process streams under load, and what becomes of that when there is too much.

    python benchmarks/service_chat.py HOME questions.jsonl --model default:extractive

HOME has been ingested into. The service is `rag serve` in a process of its own on this machine;
this one is the clients of /v1/chat/completions, each on a connection of its own. First one client
asks everything; then all streams are opened at once, and each has to be whole and to say what the
single client was told. At the end requests come at `--overload` times the best rate, whether or not
they are answered.
"""

import asyncio
import json
import math
import time
from collections.abc import Mapping, Sequence
from itertools import cycle
from pathlib import Path

import click
from service import HEAD, OK, TOO_MANY, Answer, Served, Tally, connected, served, timed

from rag_pipeline.evaluation.trec import read_lines

_PATH = "/v1/chat/completions"


class NotWholeError(Exception):
    """A stream that ended before its end."""


def bodies(questions: Path, model: str) -> list[bytes]:
    """What is asked, one after the other."""
    texts = [text for _, text in read_lines(questions, ("question", "text"))]
    return [
        json.dumps(
            {"model": model, "stream": True, "messages": [{"role": "user", "content": text}]}
        ).encode()
        for text in texts
    ]


def text_of(answer: Answer) -> str:
    """What a stream said. Raises `NotWholeError`."""
    events = [
        line.removeprefix("data: ")
        for line in answer.body.decode().split("\n")
        if line.startswith("data: ")
    ]
    if not events or events.pop() != "[DONE]":
        raise NotWholeError(answer.body.decode())
    choices = [json.loads(event)["choices"][0] for event in events]
    if choices[-1]["finish_reason"] != "stop":
        raise NotWholeError(answer.body.decode())
    return "".join(choice["delta"].get("content", "") for choice in choices)


async def one_chat(
    url: str, body: bytes, expected: Mapping[bytes, str], tally: Tally, *, started: float
) -> Answer:
    async with connected(url) as connection:
        answer = await connection.post(_PATH, body)
    tally.statuses[answer.status] += 1
    if answer.status == OK:
        tally.seconds.append(time.perf_counter() - started)
        tally.different += text_of(answer) != expected[body]
    return answer


async def alone(url: str, asked: Sequence[bytes]) -> dict[bytes, str]:
    """What a single client is told."""
    async with connected(url) as connection:
        return {body: text_of(await connection.post(_PATH, body)) for body in asked}


async def at_once(service: Served, clients: int, expected: Mapping[bytes, str]) -> Tally:
    """So many streams, opened together."""
    tally, asked, started = Tally(clients), cycle(expected), time.perf_counter()
    chats = (
        one_chat(service.url, next(asked), expected, tally, started=started) for _ in range(clients)
    )
    await timed(tally, service, chats)
    return tally


async def waiting_clients(
    service: Served, clients: int, expected: Mapping[bytes, str], *, seconds: float
) -> Tally:
    """So many clients, each of which waits for its answer, or as long as it is told to."""
    tally, asked = Tally(clients), cycle(expected)
    ends = time.perf_counter() + seconds

    async def ask() -> None:
        while (now := time.perf_counter()) < ends:
            answer = await one_chat(service.url, next(asked), expected, tally, started=now)
            if answer.status == TOO_MANY:
                await asyncio.sleep(float(answer.headers["retry-after"]))

    await timed(tally, service, (ask() for _ in range(clients)))
    return tally


async def relentless(
    service: Served, expected: Mapping[bytes, str], *, rate: float, seconds: float
) -> Tally:
    """Requests at `rate` a second, however they fare; those that wait at the end are waited for."""
    tally, asked, begun = Tally(round(rate)), cycle(expected), time.perf_counter()

    async def ask(number: int) -> None:
        due = begun + number / rate
        await asyncio.sleep(due - time.perf_counter())
        await one_chat(service.url, next(asked), expected, tally, started=due)

    await timed(tally, service, (ask(number) for number in range(int(rate * seconds))))
    return tally


async def measured(
    service: Served,
    asked: Sequence[bytes],
    levels: Sequence[int],
    *,
    streams: int,
    seconds: float,
    overload: float,
) -> None:
    expected = await alone(service.url, asked)
    print(HEAD)
    print((await at_once(service, streams, expected)).line(), " <- all at once")
    best, cheapest = 0.0, math.inf
    for clients in levels:
        tally = await waiting_clients(service, clients, expected, seconds=seconds)
        print(tally.line(), flush=True)
        best, cheapest = max(best, tally.goodput), min(cheapest, tally.processor_ms)
    rate = overload * best
    tally = await relentless(service, expected, rate=rate, seconds=seconds)
    print(f"{rate:.0f} requests a second, whatever comes back:")
    print(tally.line())
    print(
        f"goodput under overload: {tally.goodput / best:.0%} of the best by the clock,"
        f" {cheapest / tally.processor_ms:.0%} by processor time"
    )


@click.command(help=__doc__.replace("\n\n    ", "\n\n\b\n    "))
@click.argument("home", type=click.Path(path_type=Path, exists=True))
@click.argument("questions", type=click.Path(path_type=Path, exists=True))
@click.option("--model", default="default:extractive", show_default=True)
@click.option("--streams", type=int, default=32, show_default=True)
@click.option("--clients", default="1,2,4,8", show_default=True)
@click.option("--seconds", type=float, default=5.0, show_default=True)
@click.option("--overload", type=float, default=10.0, show_default=True)
@click.option("--most-questions", type=int, default=100, show_default=True)
def main(
    home: Path,
    questions: Path,
    model: str,
    streams: int,
    clients: str,
    seconds: float,
    overload: float,
    most_questions: int,
) -> None:
    levels = [int(level) for level in clients.split(",")]
    asked = bodies(questions, model)[:most_questions]
    with served(home) as service:
        asyncio.run(
            measured(service, asked, levels, streams=streams, seconds=seconds, overload=overload)
        )


if __name__ == "__main__":
    main()
