"""`rag serve` as a process of its own: it listens, answers, refuses, and ends when told to."""

import re
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from openai import OpenAI
from support.cli import TIMEOUT_S, Program, assert_one_line_error

KEY = "a key of many letters"
QUESTION = "Who built the Bell Rock lighthouse?"


@contextmanager
def serving(
    rag: Program, *arguments: str, **variables: str
) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Where it serves, and its process, which is ended if it is still there."""
    process = rag.started("--home", rag.home, "serve", "--port", "0", *arguments, **variables)
    try:
        assert process.stderr is not None
        line = process.stderr.readline()
        match = re.fullmatch(r"serving on (http://\S+); stop with Ctrl-C\n", line)
        assert match, line + process.stderr.read()
        yield match[1], process
    finally:
        process.kill()
        process.communicate()


def ended(process: subprocess.Popen[str], how: signal.Signals) -> str:
    """What it says on stderr until its end, which is a good one."""
    process.send_signal(how)
    _, said = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == 0, said
    return said


def asked(url: str, key: str = "none") -> str | None:
    with OpenAI(base_url=f"{url}/v1", api_key=key, max_retries=0) as client:
        answer = client.chat.completions.create(
            model="default:extractive", messages=[{"role": "user", "content": QUESTION}]
        )
    return answer.choices[0].message.content


def test_it_answers_an_openai_client_and_ends_well_on_sigterm(library: Any) -> None:
    with serving(library.rag) as (url, process):
        assert "Robert Stevenson" in (asked(url) or "")
        said = ended(process, signal.SIGTERM)
    access, stopped = said.splitlines()
    assert '"POST /v1/chat/completions" 200' in access
    assert QUESTION not in said
    assert stopped == "stopped"


@pytest.mark.slow
def test_several_workers_share_one_address_and_end_together(library: Any) -> None:
    with serving(library.rag, "--workers", "2") as (url, process):
        answers = {asked(url) for _ in range(6)}
        assert len(answers) == 1
        said = ended(process, signal.SIGTERM)
        assert len(set(re.findall(r"INFO (\d+) ", said))) <= 2
    with pytest.raises(httpx.ConnectError):
        httpx.get(url)


def test_it_shows_nothing_to_other_machines_without_a_key(library: Any) -> None:
    refused = library.rag("serve", "--host", "0.0.0.0", "--port", "0")
    assert_one_line_error(refused, "RAG_SERVICE__API_KEY", "0.0.0.0")


@pytest.mark.slow
def test_with_a_key_it_listens_for_other_machines_and_answers_who_shows_it(
    library: Any,
) -> None:
    variables = {"RAG_SERVICE__API_KEY": KEY}
    with serving(library.rag, "--host", "0.0.0.0", **variables) as (url, process):
        url = url.replace("0.0.0.0", "127.0.0.1")
        assert httpx.get(f"{url}/v1/models").status_code == 401
        assert "Robert Stevenson" in (asked(url, KEY) or "")
        assert KEY not in ended(process, signal.SIGINT)


def test_an_address_that_is_taken_is_named(library: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        refused = library.rag("serve", "--port", str(port))
    assert_one_line_error(refused, f"port {port}", "--port")
