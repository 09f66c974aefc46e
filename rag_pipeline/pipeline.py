"""`RagPipeline`: everything that a program needs, in one object."""

import getpass
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from rag_pipeline.composition import Composition
from rag_pipeline.defaults import DEFAULT_COLLECTION, Mode, Origins
from rag_pipeline.settings import Settings, load_settings
from storage.records import (
    LOCAL_OWNER,
    AnswerState,
    Committed,
    Origin,
    Principal,
    PromptId,
    PromptRecord,
    PromptStatus,
)

if TYPE_CHECKING:
    from ingest.parse.media import MediaReader
    from ingest.pipeline import Observer
    from ingest.read import SourceDefaults
    from ingest.report import IngestReport
    from rag_pipeline.datasets.export import ExportReport
    from rag_pipeline.datasets.selection import Selection
    from rag_pipeline.doctor import Diagnosis
    from rag_pipeline.generation.answer import Answer, AnswerStream
    from rag_pipeline.retrieval.search import SearchResult

PathLike = str | os.PathLike[str]


@dataclass(frozen=True, slots=True)
class PromptHistory:
    """What was asked and answered, as far as one principal may know."""

    parts: Composition
    principal: Principal

    def list(
        self,
        *,
        limit: int = 20,
        user: str | None = None,
        session: str | None = None,
        state: AnswerState | None = None,
        status: PromptStatus | None = None,
    ) -> Sequence[PromptRecord]:
        """The newest exchanges, newest first, without their evidence."""
        return self.parts.history.latest(
            principal=self.principal,
            limit=limit,
            user=user,
            session=session,
            state=state,
            status=status,
        )

    def show(self, prompt_id: str) -> PromptRecord:
        """One exchange, whole; a unique beginning of its id is enough.

        Raises `NotFoundError`.
        """
        return self.parts.history.show(prompt_id, principal=self.principal)


class RagPipeline:
    """Ingests documents, finds them, answers from them, and remembers what was asked.

    One object may be used by many threads. Other processes may work on the same home at the same
    time: what they commit is seen by the next search.
    """

    def __init__(self, settings: Settings, *, principal: Principal = LOCAL_OWNER) -> None:
        self._parts = Composition(settings)
        self._principal = principal

    @classmethod
    def open(
        cls,
        home: PathLike | None = None,
        *,
        database: str | None = None,
        principal: Principal = LOCAL_OWNER,
        **settings: Any,
    ) -> Self:
        """The pipeline in the folder `home`, made if there is none.

        `database` moves the truth elsewhere, by its URL; `settings` are fields of
        `rag_pipeline.settings.Settings`. Raises `SettingsError`, and `StorageError` for a database
        that can't be used.
        """
        given = load_settings(
            home=None if home is None else os.fspath(home), database_url=database, **settings
        )
        pipeline = cls(given, principal=principal)
        _ = pipeline._parts.database
        return pipeline

    @property
    def settings(self) -> Settings:
        """What this pipeline was opened with."""
        return self._parts.settings

    @property
    def history(self) -> PromptHistory:
        """What was asked and answered."""
        return PromptHistory(self._parts, self._principal)

    def ingest(
        self,
        *paths: PathLike,
        collection: str = DEFAULT_COLLECTION,
        prune: bool = False,
        generator_id: str | None = None,
        read_labels: frozenset[str] = frozenset(),
        metadata: Mapping[str, Any] | None = None,
        media: "MediaReader | None" = None,
        on_commit: "Callable[[Committed], None] | None" = None,
        on_progress: "Callable[[IngestReport], None] | None" = None,
    ) -> "IngestReport":
        """Bring files and folders into a collection; what is unchanged costs a look at its times.

        `prune` removes what was under `paths` and is gone. `generator_id` tags all of it as
        synthetic, made by that generator. Who carries none of `read_labels` will not find it.
        `metadata` is joined to what each document says of itself. `media` transcribes recordings
        or captions images. `on_commit` is called after each COMMIT. Raises `PathError`,
        `EmbeddingError`, `SpaceMismatchError`; a document that can't be read is in the report,
        with its reason.
        """
        from ingest.load import FileFeed
        from ingest.resume import resumed

        defaults = _defaults(generator_id, read_labels, metadata)
        observer = _observer(on_commit, on_progress)

        def run() -> "IngestReport":
            feed = FileFeed([Path(path) for path in paths])
            with self._parts.ingestion(
                collection, defaults=defaults, observer=observer, media=media
            ) as ingestion:
                return ingestion.run(feed, prune=prune)

        return resumed(run, patience_s=self.settings.database_patience_s)

    def ingest_records(
        self,
        records: Iterable[Mapping[str, Any]],
        *,
        source: str,
        collection: str = DEFAULT_COLLECTION,
        prune: bool = False,
        generator_id: str | None = None,
        read_labels: frozenset[str] = frozenset(),
        metadata: Mapping[str, Any] | None = None,
        on_commit: "Callable[[Committed], None] | None" = None,
        on_progress: "Callable[[IngestReport], None] | None" = None,
    ) -> "IngestReport":
        """Bring records of the form `{_id, title, text, metadata}` into a collection.

        `source` names where they come from: the same name and `_id` at the next run are the same
        document, and `prune` removes those of this source that do not come any more. All else is
        as for `ingest`.
        """
        from ingest.feeds.records import RecordsFeed

        defaults = _defaults(generator_id, read_labels, metadata)
        observer = _observer(on_commit, on_progress)
        with self._parts.ingestion(
            collection, defaults=defaults, observer=observer, source_name=source
        ) as ingestion:
            return ingestion.run(RecordsFeed(records, source), prune=prune)

    def search(
        self,
        query: str,
        *,
        limit: int = 10,
        mode: Mode = "hybrid",
        collection: str = DEFAULT_COLLECTION,
        origins: Origins = "real",
    ) -> "SearchResult":
        """The chunks that fit `query` best. Raises `QueryError`, `NotFoundError`."""
        return self._parts.retriever(collection).search(
            query, limit=limit, mode=mode, principal=self._principal, origins=_origins(origins)
        )

    def search_documents(
        self,
        queries: Sequence[str],
        *,
        limit: int = 10,
        mode: Mode = "hybrid",
        collection: str = DEFAULT_COLLECTION,
    ) -> "list[SearchResult]":
        """For each query enough hits to name `limit` documents, if there are so many."""
        return self._parts.retriever(collection).search_documents(
            queries, limit=limit, mode=mode, principal=self._principal
        )

    def ask(
        self,
        question: str,
        *,
        user: str | None = None,
        session: str | None = None,
        parent_id: str | None = None,
        collection: str = DEFAULT_COLLECTION,
    ) -> "Answer":
        """Answer from the documents, with checked citations, and keep a record of it."""
        stream = self.ask_stream(
            question, user=user, session=session, parent_id=parent_id, collection=collection
        )
        while True:
            try:
                next(stream)
            except StopIteration as ended:
                answer: Answer = ended.value
                return answer

    def ask_stream(
        self,
        question: str,
        *,
        user: str | None = None,
        session: str | None = None,
        parent_id: str | None = None,
        collection: str = DEFAULT_COLLECTION,
    ) -> "AnswerStream":
        """Like `ask`, but a generator: it gives the draft as it is written, piece by piece, and
        returns the checked answer, which may be shorter. Closing it stops the model."""
        from rag_pipeline.generation.answer import Asked

        asked = Asked(
            question=question,
            principal=self._principal,
            user=user or _default_user(self._principal),
            session=session,
            parent_id=None if parent_id is None else PromptId(parent_id),
        )
        return self._parts.answerer(collection).stream(asked)

    def doctor(self, *, repair: bool = False) -> "Diagnosis":
        """Compare the database with itself and its indexes; with `repair`, fill these anew."""
        from rag_pipeline.doctor import diagnose

        return diagnose(self._parts, repair=repair)

    def export(
        self,
        path: PathLike,
        selection: "Selection | None" = None,
        *,
        collection: str = DEFAULT_COLLECTION,
        origins: Origins = "real",
        overwrite: bool = False,
    ) -> "ExportReport":
        """Write labelled documents to `path`, a .jsonl or .parquet file: one row a source.

        Raises `DatasetError`, `NotFoundError`.
        """
        from rag_pipeline.datasets.export import export
        from rag_pipeline.datasets.selection import Selection
        from storage.export import snapshot

        with snapshot(
            self._parts.database,
            collection,
            principal=self._principal,
            origins=_origins(origins),
        ) as taken:
            return export(taken, Path(path), selection or Selection(), overwrite=overwrite)

    def close(self) -> None:
        """Give back what is open."""
        self._parts.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _origins(wanted: Origins) -> frozenset[Origin]:
    return frozenset(Origin) if wanted == "both" else frozenset({Origin(wanted)})


def _defaults(
    generator_id: str | None, read_labels: frozenset[str], metadata: Mapping[str, Any] | None
) -> "SourceDefaults":
    from ingest.read import SourceDefaults

    return SourceDefaults(
        origin=Origin.REAL if generator_id is None else Origin.SYNTHETIC,
        generator_id=generator_id,
        read_labels=read_labels,
        metadata=metadata or {},
    )


def _observer(
    on_commit: "Callable[[Committed], None] | None",
    on_progress: "Callable[[IngestReport], None] | None",
) -> "Observer":
    from ingest.pipeline import Observer, ignore

    return Observer(committed=on_commit or ignore, progressed=on_progress or ignore)


def _default_user(principal: Principal) -> str:
    """The principal's name; for the local owner the name of the account."""
    if principal != LOCAL_OWNER:
        return principal.name
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return principal.name
