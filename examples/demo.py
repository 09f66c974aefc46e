"""The whole job on a small corpus: ingest, ingest again, ask, and look at what is on record.

python examples/demo.py [--home DIR]
"""

import argparse
import shutil
import time
from pathlib import Path

from rag_pipeline.pipeline import RagPipeline

EXAMPLES = Path(__file__).parent / "documents"
QUESTIONS = (
    "When was Boston Light first lit?",
    "What did Gustaf Dalén invent?",
    "What is the capital of Peru?",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", type=Path, default=Path(".demo"))
    home = parser.parse_args().home
    shutil.rmtree(home, ignore_errors=True)
    started = time.monotonic()
    with RagPipeline.open(home) as rag:
        ingest_twice(rag)
        ask(rag)
        show_history(rag)
    print(f"\nThat took {time.monotonic() - started:.0f} s.")


def ingest_twice(rag: RagPipeline) -> None:
    for heading in ("Ingesting the documents under examples/", "Ingesting them again"):
        print(f"\n── {heading}")
        report = rag.ingest(EXAMPLES)
        counts = report.documents
        print(f"   new {counts.new}, duplicate {counts.duplicate}, unchanged {counts.unchanged}")
        print(f"   embedded {report.embedded}, in {report.seconds:.1f} s")


def ask(rag: RagPipeline) -> None:
    for question in QUESTIONS:
        print(f"\n── {question}")
        answer = rag.ask(question, session="demo")
        print(f"   {answer.text}")
        print(f"   state: {answer.state}")
        for citation in answer.citations:
            place = f"{Path(citation.source).name} [{citation.start}–{citation.end}]"
            print(f"   cited: {place} “{' '.join(citation.quote.split())}”")


def show_history(rag: RagPipeline) -> None:
    print("\n── What was asked, newest first (also: rag history list --home .demo)")
    for prompt in rag.history.list():
        print(f"   {prompt.prompt_id}  {prompt.state:<11}  {prompt.question}")


if __name__ == "__main__":
    main()
