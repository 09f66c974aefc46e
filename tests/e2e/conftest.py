"""A home with a few documents, filled once by the program itself."""

import json
from dataclasses import dataclass
from pathlib import Path

import pytest
from support.cli import Finished, Program

BELL_ROCK = (
    "# Bell Rock\n\n"
    "The Bell Rock lighthouse was built by Robert Stevenson between 1807 and 1810. "
    "Its lamp was first lit on 1 February 1811. "
    "The tower stands eleven miles off the coast of Angus.\n"
)
HARBOUR = (
    "灯台 🚢🚢 The harbour of Ravenport was dredged in 1874 to a depth of nine metres. "
    "The harbour master of Ravenport was Johanna Lindqvist.\n"
)
RECORDS = [
    {"_id": "bees", "title": "Bees", "text": "A hive of bees holds forty thousand workers."},
    {
        "_id": "rye bread",
        "title": "Rye",
        "text": "Rye bread is baked from sourdough for two hours.",
        "metadata": {"year": 1923},
    },
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Library:
    """The program, the documents, and what it said when it ingested them."""

    rag: Program
    documents: Path
    ingested: Finished


def write_documents(folder: Path) -> Path:
    folder.mkdir(parents=True)
    (folder / "bell-rock.md").write_text(BELL_ROCK, "utf-8")
    (folder / "harbour.txt").write_text(HARBOUR, "utf-8")
    (folder / "copy.txt").write_text(HARBOUR, "utf-8")
    (folder / "broken.pdf").write_bytes(b"%PDF-1.7\nnot a whole one")
    (folder / "empty.txt").touch()
    lines = (json.dumps(record) + "\n" for record in RECORDS)
    (folder / "records.jsonl").write_text("".join(lines), "utf-8")
    return folder


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Library:
    folder = tmp_path_factory.mktemp("library")
    documents = write_documents(folder / "documents")
    rag = Program(cwd=folder, home=folder / "home")
    ingested = rag("ingest", documents, "--json", "--progress", "jsonl")
    assert ingested.status == 0, ingested.err
    return Library(rag=rag, documents=documents, ingested=ingested)


@pytest.fixture
def rag(tmp_path: Path) -> Program:
    """The program with a home that is not there yet."""
    return Program(cwd=tmp_path, home=tmp_path / "home")
