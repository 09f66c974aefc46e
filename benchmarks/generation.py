"""How fast the local generator answers, beside plain `generate` of transformers, in one run.

Same weights in float32, same prompts, same threads, in turns (A, B, A, B …), so that whatever else
the machine does hits both. Prompts are rendered from SQuAD's JSON form as answers are: the first
sentences of a passage ("short"), whole passages ("long"), and questions without a passage, where
there is nothing to copy from ("open"). A context comes back under another question.

    python benchmarks/generation.py --data dev-v2.0.json
"""

import argparse
import json
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import torch
from transformers import AutoModelForCausalLM, PreTrainedModel

from ingest.sentences import sentences
from rag_pipeline.generation.language_model import Sampling, Turn
from rag_pipeline.generation.prompt import LEAD_IN, SYSTEM, USER
from rag_pipeline.generation.transformers_model import TransformersModel
from rag_pipeline.settings import default_cache
from rag_pipeline.weights.store import WeightStore

_OPEN = (
    "Write a short story about a lighthouse keeper.",
    "Explain how rain forms.",
    "Give advice for learning to swim.",
    "Describe a day at the market.",
    "Why do people sleep?",
    "How is bread made?",
    "Compare cats and dogs.",
    "Tell me about the moon.",
)


@dataclass(frozen=True, slots=True)
class Case:
    """Two questions about one context; `again` asks when the context comes back."""

    kind: str
    first: str
    again: str


@dataclass(frozen=True, slots=True)
class Timed:
    """Seconds of one answer: to its first token and in all, of the clock and of processors."""

    text: str
    tokens: int
    first_wall: float
    first_cpu: float
    wall: float
    cpu: float

    @property
    def cpu_after_first(self) -> float:
        return (self.cpu - self.first_cpu) / max(self.tokens - 1, 1)


Answer = Callable[[str, int], Timed]


class Plain:
    """`generate` of transformers, greedy."""

    def __init__(self, folder: Path, ours: TransformersModel) -> None:
        self._model: PreTrainedModel = AutoModelForCausalLM.from_pretrained(
            folder, dtype=torch.float32, local_files_only=True
        )
        self._loaded = ours._ready().loaded

    def __call__(self, prompt: str, limit: int) -> Timed:
        begun = _now()
        tokens = torch.tensor([self._loaded.encode(prompt)])
        seen: list[tuple[float, float]] = []
        made = self._model.generate(
            tokens,
            attention_mask=torch.ones_like(tokens),
            do_sample=False,
            max_new_tokens=limit,
            pad_token_id=0,
            streamer=_Noting(seen),
        )[0, tokens.shape[1] :].tolist()
        text = self._loaded.decode(made)
        ended = _now()
        return _timed(text, len(made), begun, seen[1], ended)


class _Noting:
    """Notes when each token comes; the prompt is the first that does."""

    def __init__(self, seen: list[tuple[float, float]]) -> None:
        self._seen = seen

    def put(self, _: object) -> None:
        self._seen.append(_now())

    def end(self) -> None:
        pass


class Ours:
    """The generator that answers are made with."""

    def __init__(self, model: TransformersModel) -> None:
        self._model = model

    def __call__(self, prompt: str, limit: int) -> Timed:
        begun = _now()
        stream = self._model.generate(prompt, sampling=Sampling(max_new_tokens=limit))
        pieces, first = [], None
        while True:
            try:
                pieces.append(next(stream))
                first = first or _now()
            except StopIteration as ended:
                done = _now()
                made = ended.value.completion_tokens
                return _timed("".join(pieces), made, begun, first or done, done)


def _now() -> tuple[float, float]:
    return time.perf_counter(), time.process_time()


def _timed(
    text: str,
    tokens: int,
    begun: tuple[float, float],
    first: tuple[float, float],
    ended: tuple[float, float],
) -> Timed:
    return Timed(
        text=text,
        tokens=tokens,
        first_wall=first[0] - begun[0],
        first_cpu=first[1] - begun[1],
        wall=ended[0] - begun[0],
        cpu=ended[1] - begun[1],
    )


def read_cases(path: Path, model: TransformersModel, count: int, long_tokens: int) -> list[Case]:
    """`count` cases of each kind, spread over the articles."""
    articles = json.loads(path.read_text("utf-8"))["data"]
    chosen = [articles[at % len(articles)] for at in range(count)]
    cases = []
    for at, article in enumerate(chosen):
        paragraphs = [part for part in article["paragraphs"] if len(part["qas"]) > 1]
        part = paragraphs[(at // len(articles) + 1) % len(paragraphs)]
        first, again = (part["qas"][number]["question"] for number in (0, 1))
        spans = sentences(part["context"])
        short = " ".join(part["context"][start:end] for start, end in list(spans)[:4])
        whole = _passages(paragraphs, paragraphs.index(part), model, long_tokens)
        asked = _OPEN[at % len(_OPEN)]
        cases += [
            Case("short", _grounded(model, short, first), _grounded(model, short, again)),
            Case("long", _grounded(model, whole, first), _grounded(model, whole, again)),
            Case("open", _open(model, asked), _open(model, f"{asked} Be brief.")),
        ]
    return cases


def _passages(
    paragraphs: Sequence[dict[str, Any]], start: int, model: TransformersModel, tokens: int
) -> str:
    text = ""
    for part in [*paragraphs[start:], *paragraphs[:start]]:
        text = f"{text}{part['context']}\n\n"
        if model.count_tokens(text) >= tokens:
            break
    return text


def _grounded(model: TransformersModel, text: str, question: str) -> str:
    user = USER.format(text=text, question=question.strip())
    return model.render([Turn("system", SYSTEM), Turn("user", user)], begun=LEAD_IN)


def _open(model: TransformersModel, question: str) -> str:
    return model.render([Turn("system", "You are a helpful assistant."), Turn("user", question)])


def compare(plain: Plain, ours: Ours, cases: Sequence[Case], limit: int) -> None:
    """Prints both side by side, by kind of prompt."""
    print(f"{'kind':6} {'what':30} {'plain':>9} {'ours':>9} {'ratio':>7}")
    for kind in dict.fromkeys(case.kind for case in cases):
        rows = list(_pairs(plain, ours, [case for case in cases if case.kind == kind], limit))
        _report(kind, rows)


@dataclass(frozen=True, slots=True)
class _Row:
    """One case: plain and ours on a new context, and on one that comes back."""

    plain: Timed
    ours: Timed
    plain_again: Timed
    ours_again: Timed


def _pairs(plain: Plain, ours: Ours, cases: Sequence[Case], limit: int) -> Iterator[_Row]:
    for case in cases:
        yield _Row(
            plain(case.first, limit),
            ours(case.first, limit),
            plain(case.again, limit),
            ours(case.again, limit),
        )


def _report(kind: str, rows: Sequence[_Row]) -> None:
    def line(what: str, values: Callable[[Timed], float], *, again: bool = False) -> None:
        ours = median(values(row.ours_again if again else row.ours) for row in rows)
        plain = median(values(row.plain_again if again else row.plain) for row in rows)
        print(f"{kind:6} {what:30} {plain:9.4f} {ours:9.4f} {ours / plain:7.2f}", flush=True)

    line("tokens/s, whole answer, cpu", lambda timed: timed.tokens / timed.cpu)
    line("tokens/s, whole answer, wall", lambda timed: timed.tokens / timed.wall)
    line("tokens/s after the first, cpu", lambda timed: 1 / timed.cpu_after_first)
    line("s to first, new, cpu", lambda timed: timed.first_cpu)
    line("s to first, new, wall", lambda timed: timed.first_wall)
    line("s to first, comes back, cpu", lambda timed: timed.first_cpu, again=True)
    line("s to first, comes back, wall", lambda timed: timed.first_wall, again=True)
    same = sum(row.plain.text == row.ours.text for row in rows)
    same += sum(row.plain_again.text == row.ours_again.text for row in rows)
    tokens = sum(row.ours.tokens + row.ours_again.tokens for row in rows)
    print(f"{kind:6} same text in {same} of {2 * len(rows)} answers of {tokens} tokens")


def compare_together(plain: Plain, ours: Ours, cases: Sequence[Case], limit: int) -> None:
    """Four requests at once, each from a thread of its own, on contexts that are new again."""
    prompts = [case.first.replace("You ", "Here you ") for case in cases]
    for start in range(0, len(prompts) - 3, 4):
        four = prompts[start : start + 4]
        texts: list[list[str]] = []
        for name, answer in (("plain", plain), ("ours", ours)):
            begun = _now()
            with ThreadPoolExecutor(4) as pool:
                made = list(pool.map(lambda prompt, answer=answer: answer(prompt, limit), four))
            ended = _now()
            tokens = sum(timed.tokens for timed in made)
            wall, cpu = tokens / (ended[0] - begun[0]), tokens / (ended[1] - begun[1])
            print(f"four at once, {name:6} {wall:7.1f} tokens/s, {cpu:7.1f} per cpu second")
            texts.append([timed.text for timed in made])
        print(f"four at once, same text: {texts[0] == texts[1]}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="SQuAD 2.0 in its JSON form")
    parser.add_argument("--model", default="smollm2")
    parser.add_argument("--cases", type=int, default=8, help="of each kind")
    parser.add_argument("--long-tokens", type=int, default=1400)
    parser.add_argument("--new-tokens", type=int, default=96)
    parser.add_argument("--threads", type=int, default=1)
    chosen = parser.parse_args()
    found = WeightStore(default_cache()).resolve(chosen.model)
    model = TransformersModel(
        found.folder,
        name=found.name,
        weights_sha256=found.weights_sha256,
        threads=chosen.threads,
        device="cpu",
    )
    cases = read_cases(chosen.data, model, chosen.cases, chosen.long_tokens)
    ours, plain = Ours(model), Plain(found.folder, model)
    for answer in (plain, ours):
        answer(cases[-1].first, 8)
    compare(plain, ours, cases, chosen.new_tokens)
    compare_together(plain, ours, [case for case in cases if case.kind != "long"], 48)


if __name__ == "__main__":
    main()
