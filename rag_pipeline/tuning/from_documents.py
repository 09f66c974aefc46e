"""Training data of documents alone: questions made of them, and what a search gets wrong."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ingest.chunk import cut
from rag_pipeline.composition import Composition
from rag_pipeline.datasets.splits import SplitPlan
from rag_pipeline.evaluation.judgments import Judgments
from rag_pipeline.tuning.data import (
    LEAST_QUESTIONS,
    SHARES,
    HeldOut,
    TuningData,
    check_enough,
    limited,
)
from rag_pipeline.tuning.errors import ExamplesError
from rag_pipeline.tuning.examples import Triple
from rag_pipeline.tuning.judged import held_out_of_judged
from rag_pipeline.tuning.mining import Found, mined
from rag_pipeline.tuning.pseudo_queries import KINDS, Kind, PseudoQuery, SourceText, pseudo_queries
from rag_pipeline.tuning.ranking import RankingSet
from storage.export import ExportedDocument, snapshot
from storage.records import NO_OUTLINE, Principal

if TYPE_CHECKING:
    from rag_pipeline.retrieval.search import Retriever

LARGEST_COLLECTION = 5_000
"""Documents that are learnt from and searched, drawn from larger collections."""
_FOUND = 12
_QUESTIONS_A_STEP = 256
_TITLE_TOKENS = 32
"""That the title of a passage is left room for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentsWanted:
    """Which documents are learnt from, and how."""

    collection: str
    principal: Principal
    kinds: tuple[Kind, ...] = KINDS
    negatives: int = 1
    triples: int = 2_000
    """At most, drawn from all that could be made."""
    seed: int = 0


@dataclass(frozen=True, slots=True)
class _Read:
    """A document and its passages."""

    document: ExportedDocument
    passages: tuple[SourceText, ...]

    @property
    def record(self) -> Mapping[str, Any]:
        source = self.document.sources[0]
        return {"_id": source.external_id, "title": source.title, "text": self.document.text}

    @property
    def key(self) -> str:
        """The same for a text and its near copies."""
        return self.document.near_sha256 or self.document.content_sha256


def data_of_documents(
    parts: Composition, wanted: DocumentsWanted, judged: Path | None
) -> TuningData:
    """Questions made of a collection's documents, held out by those of `judged` if it is given.

    Otherwise three in ten documents are held back, and questions made of them stop and judge; what
    a question was taken from is searched without it. Raises `ExamplesError`, `NotFoundError`.
    """
    read = _documents(parts, wanted)
    texts = [passage for one in read for passage in one.passages]
    questions = list(pseudo_queries(texts, kinds=wanted.kinds, seed=wanted.seed))
    if judged is not None:
        held_out = _judged(judged, read, seed=wanted.seed)
        learnt = questions
    else:
        parts_of = _split(questions, wanted.seed)
        learnt, held_out = parts_of["train"], _pseudo_held_out(read, parts_of)
    drawn = _drawn(learnt, wanted)
    triples = _mined(parts, wanted, drawn, {one.document.document_id: one.key for one in read})
    if len(triples) < LEAST_QUESTIONS:
        raise ExamplesError(
            f"of {len(drawn)} questions made of collection {wanted.collection!r} only"
            f" {len(triples)} are nearly answered by another text as well: ingest more documents,"
            " or train on triples with --data"
        )
    return TuningData(
        source="documents",
        triples=triples,
        held_out=held_out,
        members=[
            {
                "source": source.uri,
                "external_id": source.external_id,
                "content_sha256": one.document.content_sha256,
            }
            for one in read
            for source in one.document.sources
        ],
    )


def documents_of(
    parts: Composition, wanted: DocumentsWanted
) -> tuple[list[Mapping[str, Any]], list[tuple[str, str]]]:
    """A collection's documents as records, and their passages with the documents' ids."""
    read = _documents(parts, wanted)
    return [one.record for one in read], _passages(read)


def _documents(parts: Composition, wanted: DocumentsWanted) -> list[_Read]:
    with snapshot(parts.database, wanted.collection, principal=wanted.principal) as taken:
        found = list(taken.documents())
    if len(found) > LARGEST_COLLECTION:
        drawn = np.random.default_rng(wanted.seed).permutation(len(found))[:LARGEST_COLLECTION]
        found = [found[at] for at in sorted(drawn.tolist())]
    return [_Read(document, tuple(_cut(parts, document))) for document in found]


def _cut(parts: Composition, document: ExportedDocument) -> list[SourceText]:
    embedder = parts.embedder
    found = cut(
        document.text,
        title="",
        outline=NO_OUTLINE,
        omitted=(),
        tokenizer=embedder,
        max_tokens=max(embedder.max_tokens - _TITLE_TOKENS, _TITLE_TOKENS),
        settings=parts.settings.chunking,
    )
    return [
        SourceText(
            document=document.near_sha256 or document.content_sha256,
            title=document.sources[0].title,
            text=one.embedded,
        )
        for one in found
    ]


def _passages(read: Sequence[_Read]) -> list[tuple[str, str]]:
    return [
        (source.external_id, passage.whole)
        for one in read
        for source in one.document.sources
        for passage in one.passages
    ]


def _judged(folder: Path, read: Sequence[_Read], *, seed: int) -> HeldOut:
    records = [
        {**one.record, "_id": source.external_id} for one in read for source in one.document.sources
    ]
    return held_out_of_judged(folder, records, _passages(read), seed=seed)


def _drawn(questions: Sequence[PseudoQuery], wanted: DocumentsWanted) -> list[PseudoQuery]:
    """So many of them that are learnt from, in their order."""
    order = np.random.default_rng(wanted.seed).permutation(len(questions))[: wanted.triples]
    return [questions[at] for at in sorted(order.tolist())]


def _split(questions: Sequence[PseudoQuery], seed: int) -> dict[str, list[PseudoQuery]]:
    """Questions by their split, all of a document and its near copies in one."""
    plan = SplitPlan(shares=SHARES, seed=seed)
    found: dict[str, list[PseudoQuery]] = {name: [] for name in SHARES}
    for one in questions:
        found[plan.split_of(one.document)].append(one)
    check_enough({name: [_triple(one) for one in part] for name, part in found.items()})
    return found


def _pseudo_held_out(read: Sequence[_Read], parts: Mapping[str, Sequence[PseudoQuery]]) -> HeldOut:
    """One question for each document held back; its answer is searched without the question."""
    asked = {name: _one_a_document(parts[name]) for name in ("validation", "test")}
    replaced = {one.document: one.positive for one in asked["test"]}
    others = [passage for one in read for passage in one.passages]
    records = [
        {"_id": key, "text": text}
        for key, text in [
            *replaced.items(),
            *_numbered(one for one in others if one.document not in replaced),
        ]
    ]
    test = {f"q{at}": one for at, one in enumerate(asked["test"])}
    return HeldOut(
        validation=_ranking_set(asked["validation"], others),
        records=records,
        test=Judgments(
            texts={name: one.question for name, one in test.items()},
            qrels={name: {one.document: 1} for name, one in test.items()},
        ),
    )


def _one_a_document(questions: Sequence[PseudoQuery]) -> list[PseudoQuery]:
    """The kinds in turn, as far as each document has them."""
    together = groupby(sorted(questions, key=lambda one: one.document), lambda one: one.document)
    found = [list(same) for _, same in together]
    return [same[at % len(same)] for at, same in enumerate(found)]


def _numbered(passages: "Sequence[SourceText] | Any") -> list[tuple[str, str]]:
    return [(f"{one.document}#{at}", one.whole) for at, one in enumerate(passages)]


def _ranking_set(asked: Sequence[PseudoQuery], others: Sequence[SourceText]) -> RankingSet:
    answers = {one.document: one.positive for one in asked}
    texts = [
        *answers.items(),
        *_numbered([one for one in others if one.document not in answers]),
    ]
    chosen = limited(texts, answers.__contains__)
    return RankingSet(
        questions={f"q{at}": one.question for at, one in enumerate(asked)},
        passages=[text for _, text in chosen],
        documents=[name for name, _ in chosen],
        grades={f"q{at}": {one.document: 1} for at, one in enumerate(asked)},
    )


def _mined(
    parts: Composition,
    wanted: DocumentsWanted,
    questions: Sequence[PseudoQuery],
    keys: Mapping[int, str],
) -> list[Triple]:
    retriever = parts.retriever(wanted.collection, principal=wanted.principal)
    found: list[Triple] = []
    for begin in range(0, len(questions), _QUESTIONS_A_STEP):
        found += mined(
            questions[begin : begin + _QUESTIONS_A_STEP],
            search=lambda asked: _searched(retriever, asked, wanted.principal, keys),
            embed=parts.embedder.embed,
            negatives=wanted.negatives,
        )
    return found


def _searched(
    retriever: "Retriever", questions: Sequence[str], principal: Principal, keys: Mapping[int, str]
) -> list[list[Found]]:
    results = retriever.search_documents(list(questions), limit=_FOUND, principal=principal)
    return [
        [
            Found(
                document=keys.get(hit.chunk.document_id, str(hit.chunk.document_id)),
                text=f"{hit.chunk.sources[0].title}\n{hit.chunk.text}".strip(),
            )
            for hit in result.hits
        ]
        for result in results
    ]


def _triple(one: PseudoQuery) -> Triple:
    return Triple(question=one.question, positive=one.positive)
