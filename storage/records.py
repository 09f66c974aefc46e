"""The values that every part of the system speaks in: frozen, typed, free of behaviour.

Positions in a text (`start`, `end`) count Unicode code points; times are timezone-aware UTC.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, NewType

ChunkId = NewType("ChunkId", int)
DocumentId = NewType("DocumentId", int)
SourceId = NewType("SourceId", int)
CollectionId = NewType("CollectionId", int)
PromptId = NewType("PromptId", str)
RunId = NewType("RunId", str)

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Vectors = npt.NDArray[np.float32]
    """float32, (rows, dimension); each row of unit length when its space is normalised."""
    Ids = npt.NDArray[np.int64]
    """int64 chunk keys, ascending where a contract says so."""
else:
    # Whoever only reads the history starts without numpy.
    Vectors = Ids = Any
Metadata = Mapping[str, Any]
"""What a source says of itself, as JSON values."""


class Origin(StrEnum):
    """Where a source comes from. Synthetic if and only if it names its generator."""

    REAL = "real"
    SYNTHETIC = "synthetic"


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """Who reads: the owner everything, others what carries no label or one of theirs.

    Theirs are their `labels`, `user:NAME` for their name, and `group:G` for each of their groups.
    """

    name: str
    labels: frozenset[str] = frozenset()
    groups: frozenset[str] = frozenset()
    is_owner: bool = False


LOCAL_OWNER = Principal(name="owner", is_owner=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddingSpace:
    """What makes vectors comparable: two spaces that differ in any field never meet in a search."""

    model: str
    weights_sha256: str
    dimension: int
    normalised: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Collection:
    """A set of documents that is searched together, in one embedding space."""

    collection_id: CollectionId
    name: str
    space: EmbeddingSpace | None
    """None until the first document is embedded."""
    retrieval: Mapping[str, Any] | None = field(default=None, hash=False)
    """Settings of retrieval that were fitted to it."""
    answering: Mapping[str, Any] | None = field(default=None, hash=False)
    """How far its answers can be trusted, as it was measured."""


@dataclass(frozen=True, slots=True)
class Position:
    """A point in the history of the corpus.

    `token` is drawn at random for each generation: an index that stands at (7, "ab…") belongs to
    exactly that history, and not to generation 7 of another database or of a restored backup.
    """

    generation: int
    token: str


BEGINNING = Position(0, "")


@dataclass(frozen=True, slots=True)
class Heading:
    """The heading that stands at `start`; level 1 is the highest."""

    start: int
    level: int
    title: str


@dataclass(frozen=True, slots=True)
class Outline:
    """How a text is divided, so that any span of it can be named by page and heading."""

    headings: tuple[Heading, ...] = ()
    """In the order of the text."""
    page_starts: tuple[int, ...] = ()
    """Where each page begins, the first at 0; empty for a text without pages."""


NO_OUTLINE = Outline()


class Suspicion(NamedTuple):
    """A span of a text that speaks to a model instead of a reader, and what gives it away."""

    start: int
    end: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NewChunk:
    """A chunk that is about to be stored: `text` is exactly `document.text[start:end]`."""

    start: int
    end: int
    text: str
    embedded_sha256: str
    """Hash of what the embedder was given (context and text): the key of the vector cache."""
    vector: Vectors


@dataclass(frozen=True, slots=True, kw_only=True)
class Likeness:
    """What a text is nearly the same as."""

    content_sha256: str
    """The content of the original, which is like no other itself."""
    similarity: float
    """Above 0, at most 1."""
    is_held_back: bool
    """Whether the text is kept without chunks, so that only the original is found."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TextKeys:
    """Signed 64-bit keys by which texts with something in common find each other."""

    near: tuple[int, ...] = ()
    """Of the whole text; only an original has them."""
    edge: tuple[int, ...] = ()
    """Of the lines at its edges."""


NO_KEYS = TextKeys()


@dataclass(frozen=True, slots=True, kw_only=True)
class NewDocument:
    """A text that is about to be stored, once, however many sources have it."""

    content_sha256: str
    fingerprint: str
    """Hash of what cut and embedded it: chunker, embedder, and their settings."""
    text: str
    title: str
    """The title that its chunks were embedded and indexed with; one of its sources' titles."""
    chunks: tuple[NewChunk, ...]
    outline: Outline = NO_OUTLINE
    language: str | None = None
    suspicions: tuple[Suspicion, ...] = ()
    likeness: Likeness | None = None
    keys: TextKeys = NO_KEYS
    supersedes: DocumentId | None = None
    """The stored version of this text, whose sources move here: its title is none of theirs any
    more, or it was cut and embedded in another way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirmed:
    """A stored text that was looked at in a new way and came out as it is, chunk by chunk."""

    document_id: DocumentId
    fingerprint: str
    keys: TextKeys


@dataclass(frozen=True, slots=True, kw_only=True)
class NewSource:
    """One place where a text was found; everything that is said of the text belongs to it."""

    uri: str
    external_id: str
    title: str
    metadata: Metadata
    media_type: str
    record_sha256: str
    """Hash of the bytes that this source was read from."""
    fingerprint: str
    """Hash of everything but the bytes that decides what is stored: parser, chunker, embedder,
    and what the caller says of origin and labels. Same bytes, same fingerprint: nothing to do."""
    origin: Origin = Origin.REAL
    generator_id: str | None = None
    read_labels: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownSource:
    """What is stored of a source that is live."""

    source_id: SourceId
    document_id: DocumentId
    uri: str
    external_id: str
    title: str
    record_sha256: str
    fingerprint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownDocument:
    """What is stored of a text that is live."""

    document_id: DocumentId
    content_sha256: str
    fingerprint: str
    title: str
    text: str
    outline: Outline = NO_OUTLINE
    language: str | None = None
    suspicions: tuple[Suspicion, ...] = ()
    likeness: Likeness | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadResource:
    """A file, a page or the result of a query that was read through to its end."""

    uri: str
    stamp: str | None
    """What it looked like then; None where its looks can't be trusted."""
    content_sha256: str | None
    """Hash of its bytes; None where they were not held together."""
    fingerprint: str
    """Of what its documents were made with, as in `NewSource`."""
    documents: int
    """How many live documents it gave."""


@dataclass(frozen=True, slots=True)
class Titling:
    """A title that a source gives its text, and who may know of it."""

    title: str
    origin: Origin
    read_labels: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """One source and the text that it now has: one that is stored already, or a new one.

    Sources of one new text share one `NewDocument`.
    """

    source: NewSource
    document: DocumentId | NewDocument
    replaces: SourceId | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Committed:
    """What one COMMIT made durable."""

    position: Position
    document_ids: tuple[DocumentId, ...]
    external_ids: tuple[str, ...]
    chunks_added: int
    chunks_removed: int
    sources_removed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Entries:
    """Chunks as an index reads them; row i of each field belongs to `ids[i]`, ids ascending.

    What an index does not read may be left empty.
    """

    ids: Ids
    documents: Ids
    """The document that each chunk is a part of."""
    vectors: Vectors
    titles: Sequence[str] = ()
    headings: Sequence[tuple[str, ...]] = ()
    """The headings that hold for all of the chunk, the highest first."""
    texts: Sequence[str] = ()
    languages: Sequence[str | None] = ()
    """ISO 639-1 codes; None where the language is not known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeywordClause:
    """One part of a keyword query. A query of plain text is one word clause for each word."""

    text: str
    kind: Literal["word", "phrase", "prefix"] = "word"
    occurrence: Literal["should", "must", "must_not"] = "should"
    """should: adds to the score. must: what lacks it is not found. must_not: what has it is not."""
    weight: float = 1.0
    """By what its score is multiplied; above 0."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TermMatch:
    """How one term of a query added to the keyword score of one chunk."""

    term: str
    """As the query has it, not its stem."""
    counts: Mapping[str, int]
    """How often it stands in each field of the chunk: title, headings, text."""
    score: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceRef:
    """A place that a hit's text stands in, as a reader may know it."""

    source: str
    external_id: str
    title: str
    metadata: Metadata
    origin: Origin


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredChunk:
    """A chunk with all the sources of it that the principal may read, oldest first."""

    chunk_id: ChunkId
    document_id: DocumentId
    text: str
    title: str
    start: int
    end: int
    sources: tuple[SourceRef, ...]
    headings: tuple[str, ...] = ()
    """The headings that hold for all of it, the highest first."""
    page: int | None = None
    """Where it begins, from 1; None in a text without pages."""
    last_page: int | None = None
    section: tuple[int, int] = (0, 0)
    """The sections that it stands in, as one span with their headings: what to read around it.
    (0, 0) where nobody looked."""
    language: str | None = None
    suspicions: tuple[Suspicion, ...] = ()
    """Those of its document that touch it, in the document's positions, in order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredText:
    """The text of a document, and how it is divided."""

    text: str
    outline: Outline = NO_OUTLINE


class Scored(NamedTuple):
    """A chunk and how well it fits one query, in the measure of the index that found it.

    A search makes many hundreds of them, which is why it is a tuple.
    """

    chunk_id: ChunkId
    score: float


@dataclass(frozen=True, slots=True)
class Passage:
    """A span of a document: `text` is exactly `document.text[start:end]`."""

    start: int
    end: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """One search result: a chunk, where it ranked on each side, and where it comes from."""

    chunk: StoredChunk
    score: float
    rank: int
    vector_rank: int | None
    vector_score: float | None
    keyword_rank: int | None
    keyword_score: float | None
    context: Passage | None = None
    """What stands around the chunk, and the chunk itself; None where nobody asked."""
    copies: tuple[ChunkId, ...] = ()
    """Chunks with nearly the same text that stood behind this one and were left out."""


AnswerState = Literal["grounded", "partial", "no_evidence"]
PromptStatus = Literal["started", "completed", "failed", "cancelled"]
Judge = Literal["human", "automatic"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Citation:
    """A verified span: `quote` is exactly `document.text[start:end]`.

    `answer_start` and `answer_end` say which part of the answer it supports; `page` and `headings`
    name the place of `start`.
    """

    quote: str
    source: str
    document_id: DocumentId
    external_id: str
    chunk_id: ChunkId
    start: int
    end: int
    answer_start: int
    answer_end: int
    score: float
    page: int | None = None
    headings: tuple[str, ...] = ()
    origin: Origin = Origin.REAL


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """A chunk version that a model was shown, with the scores that brought it there."""

    chunk_id: ChunkId
    document_id: DocumentId
    rank: int
    score: float
    vector_rank: int | None
    keyword_rank: int | None
    cited: bool = False


MessageRole = Literal["system", "user", "assistant"]


@dataclass(frozen=True, slots=True)
class Message:
    """What one side said in a conversation."""

    role: MessageRole
    content: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptArtifact:
    """Bytes that came with a question, or that were made for its answer."""

    name: str
    role: Literal["attachment", "output"]
    media_type: str
    sha256: str
    size_bytes: int
    storage: Literal["blob", "file", "link"]
    location: str | None
    """The file's path; None where the database keeps the bytes."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class QuestionVector:
    """What was searched for, and its vector: of unit length, (dimension,), in `space`."""

    text: str
    space: EmbeddingSpace
    vector: Vectors


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptStart:
    """What is on record before the model is called."""

    question: str
    standalone: str | None = None
    """The question as it was searched for, where that is not as it was asked."""
    user: str
    session: str | None
    parent_id: PromptId | None
    collection: str
    generation: int
    model: str
    weights_sha256: str
    template_sha256: str
    rendered: str
    sampling: Mapping[str, Any]
    evidence: tuple[Evidence, ...]
    application: str | None = None
    """The program that asks, as it calls itself."""
    category: str | None = None
    tags: tuple[str, ...] = ()
    idempotency_key: str | None = None
    """The same one from the same user is the same exchange."""
    system: str = ""
    """What holds for the whole conversation; empty: nothing."""
    earlier: tuple[Message, ...] = ()
    """What was said before, as whoever asks tells it, oldest first; empty: what is on record of
    `parent_id`."""
    template_id: int | None = None
    """None: the template that this program came with."""
    circumstances: Mapping[str, Any] | None = None
    """For whom, by which settings, behind which fence: what it takes to ask it again."""
    question_vector: QuestionVector | None = None
    """By which it is found again by its meaning; None: it is not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptEnd:
    """What is added when the answer is complete."""

    answer: str
    state: AnswerState
    citations: tuple[Citation, ...]
    usage: Mapping[str, int]
    timings: Mapping[str, float]
    confidence: float | None = None
    """The chance that the answer is right, from 0 to 1, as its calibration has it."""
    checks: Mapping[str, Any] | None = None
    """What was found in the passages that is no evidence, and what was taken out of the answer."""
    seconds: float | None = None
    """From the question to the end."""
    cost: float | None = None
    """By the table of prices that holds; None where the model has no price."""
    finish_reason: Literal["stop", "length"] | None = None
    """"length": the model was cut by a limit on tokens."""
    note: str | None = None
    """What the reader was told of how the answer was made."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """What a person or a rule says of an answer; `value` from 0 (wrong) to 1 (right)."""

    value: float | None
    """None: only a label, a comment or a correction."""
    metric: str = "rating"
    judge: Judge = "human"
    user: str | None = None
    """Who says it; None where the judge is automatic."""
    judge_name: str | None = None
    """Which automatic judge, and in which version; both None for a person."""
    judge_version: str | None = None
    label: str | None = None
    """A word for what is right or wrong with it."""
    comment: str | None = None
    correction: str | None = None
    """What the answer should have been."""
    created_at: datetime | None = None
    """None: now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptRecord:
    """One exchange, as it is on record. `status` "started" is a crash, or still under way."""

    prompt_id: PromptId
    parent_id: PromptId | None
    session: str | None
    user: str
    question: str
    answer: str | None
    status: PromptStatus
    state: AnswerState | None
    error: str | None
    created_at: datetime
    completed_at: datetime | None
    collection: str
    generation: int
    model: str
    weights_sha256: str
    template_sha256: str
    rendered: str
    sampling: Mapping[str, Any]
    usage: Mapping[str, int] = field(default_factory=dict)
    timings: Mapping[str, float] = field(default_factory=dict)
    evidence: tuple[Evidence, ...] = ()
    citations: tuple[Citation, ...] = ()
    standalone: str | None = None
    confidence: float | None = None
    checks: Mapping[str, Any] | None = None
    scores: tuple[Score, ...] = ()
    """Oldest first."""
    circumstances: Mapping[str, Any] | None = None
    """None: nobody put them on record."""
    application: str | None = None
    category: str | None = None
    tags: tuple[str, ...] = ()
    """In order; only where the whole exchange was asked for."""
    idempotency_key: str | None = None
    request_sha256: str | None = None
    """The message that asked; what was said before it are its parents."""
    response_sha256: str | None = None
    """The message that answered."""
    template_id: int | None = None
    """None: the template that the program came with, by its hash."""
    seconds: float | None = None
    cost: float | None = None
    finish_reason: Literal["stop", "length"] | None = None
    note: str | None = None
    artifacts: tuple[PromptArtifact, ...] = ()
    redacted_at: datetime | None = None
    """When something of it was taken out for good; None: it is as it was recorded."""
