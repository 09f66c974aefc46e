"""Documents that take the parser over, in the real sandbox: they harm nothing but themselves."""

import os
import platform
import signal
import socket
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.cli import Program, assert_one_line_error

from ingest.errors import IngestError
from ingest.load import load
from ingest.parse import registry
from ingest.records import RawDocument, ReadText, Refusal
from ingest.sandbox import parser_process
from ingest.sandbox.parser_process import ParserProcess
from ingest.settings import ParseSettings

ATTACKS = "support.attacks:parts"
TESTS = Path(__file__).parent.parent
EXAMPLES = TESTS.parent / "examples" / "documents"
LIMITS = ParseSettings(timeout_s=1.5, memory_mb=256, max_text_chars=1_000_000)
UNHURRIED = ParseSettings(timeout_s=60, memory_mb=256, max_text_chars=1_000_000)

PARENT = """
import sys, threading, time
from ingest.records import RawDocument
from ingest.sandbox.parser_process import ParserProcess
from ingest.settings import ParseSettings

def ask(attack):
    raw = RawDocument(
        uri="/x", external_id="x", data=attack.encode(), format="text", media_type="text/plain"
    )
    return process.parts(raw)[0].content.text

process = ParserProcess(ParseSettings(), parse="support.attacks:parts")
print(ask("process").removeprefix("done: "), flush=True)
ask(sys.argv[1])
time.sleep(3600)
"""

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="what is tested is Linux's")


def document(attack: str) -> RawDocument:
    return RawDocument(
        uri="/documents/evil.txt",
        external_id="evil.txt",
        data=attack.encode(),
        format="text",
        media_type="text/plain",
    )


def refusal_of(process: ParserProcess, attack: str) -> str:
    (part,) = process.parts(document(attack))
    assert isinstance(part.content, Refusal), part
    assert part.content.outcome == "refused"
    assert part.content.source == "/documents/evil.txt"
    return part.content.reason


def attempt(process: ParserProcess, attack: str) -> str:
    (part,) = process.parts(document(attack))
    assert isinstance(part.content, ReadText), part
    return part.content.text


@pytest.fixture(scope="module")
def unhurried() -> Iterator[ParserProcess]:
    with ParserProcess(UNHURRIED, parse=ATTACKS) as process:
        yield process


@pytest.fixture(scope="module")
def hurried() -> Iterator[ParserProcess]:
    with ParserProcess(LIMITS, parse=ATTACKS) as process:
        yield process


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "secret.txt"
    path.write_text("a secret")
    return path


@pytest.mark.parametrize(
    ("attack", "reason"),
    [
        ("eat", "it needs more than 256 MB to read"),
        ("nibble", "it needs more than 256 MB to read"),
        ("crash", "the parser broke down on it (signal SEGV)"),
        ("abort", "the parser broke down on it (signal ABRT)"),
        ("leave", "the parser broke down on it (exit status 0)"),
        ("fail", "the parser broke down on it (exit status 1)"),
        ("recurse", "the parser broke down on it (exit status 1)"),
        ("silence", "the parser broke down on it (it fell silent)"),
        ("garbage", "the parser gave an answer that can't be right: a message of"),
        ("json", "the parser gave an answer that can't be right:"),
        ("flood", "the parser gave an answer that can't be right: a message of"),
        ("nothing", "the parser gave an answer that can't be right: no document"),
        ("nul", "the parser gave an answer that can't be right: a text that"),
        ("escape", "the parser gave an answer that can't be right: a text that"),
        ("twice", "the parser gave an answer that can't be right: two documents"),
        ("long", "the parser gave an answer that can't be right: more text"),
    ],
)
def test_a_parser_that_breaks_down_is_a_refusal_and_the_next_document_goes_on(
    unhurried: ParserProcess, attack: str, reason: str
) -> None:
    assert refusal_of(unhurried, attack).startswith(reason)
    assert attempt(unhurried, "text") == "done: fine"


@pytest.mark.parametrize("attack", ["hang", "sleep", "stop", "drip"])
def test_a_parser_that_does_not_end_is_ended(hurried: ParserProcess, attack: str) -> None:
    assert attempt(hurried, "text") == "done: fine"
    started = time.monotonic()
    assert refusal_of(hurried, attack) == "it takes more than 1.5 s to read"
    assert time.monotonic() - started < 10
    assert attempt(hurried, "text") == "done: fine"


def test_memory_that_counts_as_no_data_is_limited_too() -> None:
    with ParserProcess(UNHURRIED, parse=ATTACKS) as process:
        assert int(attempt(process, "map-shared").removesuffix(" MB")) < 2048 + 256


def test_what_one_document_leaks_the_next_does_not_lack() -> None:
    with ParserProcess(UNHURRIED, parse=ATTACKS) as process:
        keeper = attempt(process, "keep")
        assert attempt(process, "process") != f"done: {keeper}"


def test_what_one_document_breaks_is_no_fault_of_the_next() -> None:
    with ParserProcess(UNHURRIED, parse=ATTACKS) as process:
        assert attempt(process, "crash-as-second") == "fine"
        assert attempt(process, "crash-as-second") == "fine"


@pytest.mark.parametrize("attack", ["udp", "unix", "pair", "ring", "namespace"])
def test_there_is_no_way_to_the_network_and_to_other_programs(
    unhurried: ParserProcess, attack: str
) -> None:
    assert attempt(unhurried, attack).startswith(("PermissionError", "OSError: Function not"))


def test_a_server_on_this_machine_is_out_of_reach(unhurried: ParserProcess) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.2)
        assert "PermissionError" in attempt(unhurried, f"tcp {server.getsockname()[1]}")
        with pytest.raises(TimeoutError):
            server.accept()


@pytest.mark.parametrize("attack", ["fork", "vfork", "subprocess", "spawn", "exec"])
def test_no_program_is_started(unhurried: ParserProcess, attack: str) -> None:
    assert attempt(unhurried, attack).startswith(("PermissionError", "BlockingIOError"))


def test_threads_still_work(unhurried: ParserProcess) -> None:
    assert attempt(unhurried, "threads") == "done: xxxxxxxx"


def looks(path: Path) -> tuple[int, ...]:
    """All that is known of a file but when it was read last."""
    now = path.stat()
    about = (now.st_mode, now.st_uid, now.st_gid, now.st_nlink, now.st_ino)
    return (*about, now.st_size, now.st_mtime_ns, now.st_ctime_ns)


@pytest.mark.parametrize(
    "attack",
    [
        *("write", "append", "update", "remove", "rename", "mkdir", "link", "symlink"),
        *("pipe-file", "chmod", "chown", "touch", "truncate"),
    ],
)
def test_no_file_is_changed(unhurried: ParserProcess, secret: Path, attack: str) -> None:
    before = looks(secret)
    assert attempt(unhurried, f"{attack} {secret}").startswith("PermissionError")
    assert looks(secret) == before
    assert secret.read_text() == "a secret"
    assert [path.name for path in secret.parent.iterdir()] == [secret.name]


def test_no_file_is_made(unhurried: ParserProcess, secret: Path) -> None:
    folder = secret.parent
    assert "PermissionError" in attempt(unhurried, f"create {folder / 'new'}")
    assert "PermissionError" in attempt(unhurried, f"unnamed {folder}")
    assert "PermissionError" in attempt(unhurried, "memory-file")
    assert not attempt(unhurried, "temporary").startswith("done")
    assert [path.name for path in folder.iterdir()] == [secret.name]


def test_no_file_is_read_that_is_none_of_its_program(
    unhurried: ParserProcess, secret: Path
) -> None:
    for path in (secret, "/etc/passwd", "/proc/self/environ", f"/proc/{os.getpid()}/environ"):
        assert "PermissionError" in attempt(unhurried, f"read {path}"), path
    for folder in (secret.parent, "/", "/proc", Path.home()):
        assert "PermissionError" in attempt(unhurried, f"list {folder}"), folder
    assert attempt(unhurried, f"read {parser_process.__file__}").startswith('done: """Parses')


def test_no_other_process_is_touched(unhurried: ParserProcess) -> None:
    with subprocess.Popen(["sleep", "60"]) as bystander:
        for attack in ("signal", "trace", "their-limits"):
            outcome = attempt(unhurried, f"{attack} {bystander.pid}")
            assert outcome.startswith("PermissionError"), outcome
        assert bystander.poll() is None
        bystander.kill()


@pytest.mark.parametrize("attack", ["limits", "orphan"])
def test_its_limits_can_t_be_taken_back(unhurried: ParserProcess, attack: str) -> None:
    assert attempt(unhurried, attack).startswith("PermissionError")


@pytest.mark.skipif(platform.machine() != "x86_64", reason="other processors have one numbering")
def test_a_call_by_another_number_ends_the_process(unhurried: ParserProcess) -> None:
    assert refusal_of(unhurried, "other-numbering").endswith("(signal SYS)")


def test_it_has_nothing_of_the_parent_s(
    unhurried: ParserProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_KEY", "x")
    reading, writing = os.pipe()
    os.set_inheritable(writing, True)
    with ParserProcess(UNHURRIED, parse=ATTACKS) as process:
        assert "SECRET_KEY" not in attempt(process, "variables")
        assert len(attempt(process, "files").split()) <= len(("done:", 0, 1, 2, "in", "out"))
    os.close(reading)
    os.close(writing)


def test_it_loads_no_model_and_no_database(tmp_path: Path) -> None:
    with ParserProcess(UNHURRIED, parse=ATTACKS) as process:
        modules = set(attempt(process, "modules").split())
    assert not modules & {"torch", "sqlalchemy", "transformers", "rag_pipeline", "faiss"}


@pytest.mark.parametrize("attack", ["print", "complain"])
def test_what_libraries_print_goes_nowhere(unhurried: ParserProcess, attack: str) -> None:
    assert attempt(unhurried, attack) == "done: None"


def test_the_source_and_form_of_a_refusal_are_the_parent_s(unhurried: ParserProcess) -> None:
    assert refusal_of(unhurried, "lie") == "a forged[31m line"


def test_one_process_parses_many_documents_and_is_renewed_in_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(parser_process, "MAX_DOCUMENTS", 3)
    with ParserProcess(UNHURRIED, parse=ATTACKS) as process:
        processes = [attempt(process, "process") for _ in range(7)]
    assert processes[0] == processes[1] == processes[2]
    assert processes[3] == processes[5]
    assert len(set(processes)) == 3


def test_a_child_whose_thread_has_ended_is_replaced() -> None:
    with ParserProcess(UNHURRIED, parse=ATTACKS) as process:
        said: list[str] = []
        thread = threading.Thread(target=lambda: said.append(attempt(process, "process")))
        thread.start()
        thread.join()
        time.sleep(0.2)
        assert attempt(process, "text") == "done: fine"


def test_threads_take_turns(unhurried: ParserProcess) -> None:
    said: list[str] = []

    def ask() -> None:
        for _ in range(20):
            said.append(attempt(unhurried, "text"))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert said == ["done: fine"] * 80


def test_an_interrupted_document_does_not_answer_for_the_next() -> None:
    with ParserProcess(UNHURRIED, parse=ATTACKS) as process:
        assert attempt(process, "text") == "done: fine"
        timer = threading.Timer(0.3, lambda: os.kill(os.getpid(), signal.SIGINT))
        timer.start()
        with pytest.raises(KeyboardInterrupt):
            process.parts(document("sleep"))
        timer.join()
        assert attempt(process, "text") == "done: fine"


def test_a_document_that_hangs_is_given_up_when_another_thread_says_so() -> None:
    patient = UNHURRIED.model_copy(update={"timeout_s": 300})
    with ParserProcess(patient, parse=ATTACKS) as process:
        assert attempt(process, "text") == "done: fine"
        said: list[str] = []
        thread = threading.Thread(target=lambda: said.append(refusal_of(process, "sleep")))
        thread.start()
        while thread.is_alive():
            thread.join(0.1)
            process.interrupt()
        assert len(said) == 1
        assert attempt(process, "text") == "done: fine"


def test_the_child_ends_with_the_context() -> None:
    with ParserProcess(UNHURRIED, parse=ATTACKS) as process:
        child = int(attempt(process, "process").removeprefix("done: "))
        assert is_running(child)
    assert not is_running(child)
    process.close()


@pytest.mark.parametrize("attack", ["sleep", "text"])
def test_the_child_ends_with_a_parent_that_is_killed(attack: str) -> None:
    """Whether it is at work then or waits for a document."""
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, attack],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(TESTS), *sys.path])},
        text=True,
    )
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    time.sleep(0.3)
    assert is_running(child)
    parent.kill()
    parent.wait()
    parent.stdout.close()
    ends = time.monotonic() + 10
    while is_running(child):
        assert time.monotonic() < ends
        time.sleep(0.05)


def is_running(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def test_a_child_that_can_t_be_started_says_why() -> None:
    with ParserProcess(UNHURRIED, parse="support.attacks:nowhere") as process:
        with pytest.raises(IngestError, match="can't be started: .*nowhere"):
            process.parts(document("text"))


def test_an_interpreter_that_is_not_there_is_one_clear_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with pytest.raises(IngestError, match="/nowhere/python"):
        ParserProcess(UNHURRIED, parse=ATTACKS).parts(document("text"))


def test_where_the_system_has_less_the_rest_is_in_force_and_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As on a processor for which there is no filter of system calls."""
    elsewhere = "import platform; platform.machine = lambda: 'riscv64'; "
    monkeypatch.setattr(parser_process, "_BOOTSTRAP", elsewhere + parser_process._BOOTSTRAP)
    with ParserProcess(UNHURRIED, parse=ATTACKS) as process:
        told = " ".join(process.confinement)
        assert "Landlock" in told
        assert "seccomp" not in told
        assert attempt(process, "read /etc/passwd").startswith("PermissionError")
        assert attempt(process, "exec").startswith("PermissionError")
        assert attempt(process, "write /tmp/owned").startswith("PermissionError")


def test_all_of_the_confinement_is_in_force(unhurried: ParserProcess) -> None:
    told = " ".join(unhurried.confinement)
    for what in ("256 MB", "no file grows", "no privileges", "Landlock", "seccomp"):
        assert what in told


REAL = ParseSettings(timeout_s=60)


def loaded(path: Path) -> RawDocument:
    (raw,) = load([path])
    assert isinstance(raw, RawDocument)
    return raw


@pytest.fixture(scope="module")
def real() -> Iterator[ParserProcess]:
    with ParserProcess(REAL) as process:
        yield process


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.*")), ids=lambda path: path.name)
def test_every_format_reads_the_same_inside_as_outside(real: ParserProcess, path: Path) -> None:
    for raw in load([path]):
        assert isinstance(raw, RawDocument)
        assert real.parts(raw) == registry.parts(raw, REAL)


def test_the_files_of_an_archive_come_out_of_it_too(real: ParserProcess, tmp_path: Path) -> None:
    archive = tmp_path / "all.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for path in sorted(EXAMPLES.glob("*.*")):
            file.write(path, path.name)
        file.writestr("broken.pdf", b"%PDF-1.7 not a whole one")
    raw = loaded(archive)
    parts = real.parts(raw)
    assert parts == registry.parts(raw, REAL)
    assert len(parts) > 8
    (broken,) = [part.content for part in parts if isinstance(part.content, Refusal)]
    assert broken.source == f"{raw.uri}!/broken.pdf"


def test_what_memory_does_not_suffice_for_is_refused(tmp_path: Path) -> None:
    large = tmp_path / "large.txt"
    large.write_text("é" * 100_000_000, "utf-8")
    with ParserProcess(ParseSettings(memory_mb=256, max_text_chars=1 << 28)) as process:
        (part,) = process.parts(loaded(large))
        assert isinstance(part.content, Refusal)
        assert "MB" in part.content.reason or "MemoryError" in part.content.reason


def test_the_program_prints_what_is_inside_a_file_under_its_name(tmp_path: Path) -> None:
    archive = tmp_path / "notes.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("one.txt", "The first note is about lighthouses.")
        file.writestr("in/two.md", "# Two\n\nThe second one is about bees.")
        file.writestr("three.bin", b"\x00\x01\x02")
    rag = Program(cwd=tmp_path, home=tmp_path / "home")
    printed = rag("parse", archive)
    assert printed.status == 0
    assert "==> one.txt <==\nThe first note is about lighthouses.\n" in printed.out
    assert printed.err.startswith("skipped: ")
    first, second = rag("parse", archive, "--json").json
    assert first["external_id"] == "notes.zip!/one.txt"
    assert second["source"] == f"{archive}!/in/two.md"
    assert second["media_type"] == "text/markdown"
    assert second["outline"]["headings"] == [{"start": 0, "level": 1, "title": "Two"}]
    assert second["language"] == "en"


def test_the_program_says_so_where_there_is_nothing_to_parse(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    assert_one_line_error(
        Program(cwd=tmp_path, home=tmp_path)("parse", empty), "no files", status=4
    )
