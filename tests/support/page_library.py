"""What the tests of the page have a browser look at, and how they find their way on it."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Page, expect
from support.browser import service_of
from support.pipelines import parts_of, word_pipeline

from rag_pipeline.generation.echo_model import EchoModel
from rag_pipeline.generation.language_model import GREEDY, Sampling, TextStream
from rag_pipeline.pipeline import RagPipeline
from storage.records import PromptRecord

HARBOUR = (
    "灯台 🚢🚢 The harbour of Ravenport was dredged in 1874 to a depth of nine metres. "
    "The harbour master of Ravenport was Johanna Lindqvist.\n"
)
MASTER = "The harbour master of Ravenport was Johanna Lindqvist."
HOSTILE = (
    "# <img src=x onerror=window.hacked=1>\n\n"
    "The <script>window.hacked=1</script> lamp of Skerryvore was lit in 1844"
    " by <b onclick=alert(1)>Alan</b> Stevenson.\n"
)
BARGE = "A barge of oak carried slate to Ballachulish.\n"
LONG_NAME = "some-name-" + "that-goes-on-" * 14 + "and-ends.txt"
BY_MASTER = "Who was the harbour master of Ravenport?"
BY_DREDGING = "When was the harbour of Ravenport dredged?"


class SlowModel(EchoModel):
    """Takes a moment for each word, so that there is time to stop it."""

    pause_s = 0.0

    def generate(self, rendered: str, *, sampling: Sampling = GREEDY) -> TextStream:
        stream = super().generate(rendered, sampling=sampling)
        while True:
            try:
                piece = next(stream)
            except StopIteration as ended:
                return ended.value
            time.sleep(self.pause_s)
            yield piece


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """A service, what stands behind it, and the generator that it asks."""

    url: str
    rag: RagPipeline
    model: SlowModel


@contextmanager
def library_in(folder: Path) -> Iterator[Served]:
    """A service over a few documents, one of them damaged, and one exchange on record."""
    documents = folder / "documents"
    documents.mkdir()
    (documents / "harbour.txt").write_text(HARBOUR, "utf-8")
    (documents / "hostile.md").write_text(HOSTILE, "utf-8")
    (documents / LONG_NAME).write_text(BARGE, "utf-8")
    (documents / "broken.pdf").write_bytes(b"%PDF-1.7\nnot a whole one")
    with word_pipeline(folder / "home") as rag:
        model = SlowModel()
        parts_of(rag).language_model = model
        rag.ingest(documents)
        rag.ask(BY_MASTER, session="harbour", user="ada")
        with service_of(rag) as url:
            yield Served(url=url, rag=rag, model=model)


def ask(page: Page, question: str) -> None:
    """Type a question and press Enter."""
    page.get_by_label("Question", exact=True).fill(question)
    page.keyboard.press("Enter")


def highlighted(page: Page) -> str:
    """The words that are marked, once the document is there."""
    marks = page.locator("mark.cited")
    expect(marks.first).to_be_visible()
    return "".join(marks.all_inner_texts())


def newest(served: Served) -> PromptRecord:
    """The last exchange on record."""
    return served.rag.history.list(limit=1)[0]


def turn_to(page: Page, view: str) -> None:
    """Go to a view of the page that is open, and wait until all of it is there."""
    page.evaluate(
        "(hash) => { location.hash = hash; return new Promise((done) => setTimeout(done, 20)); }",
        view,
    )
    expect(page.locator(".loading")).to_have_count(0)
