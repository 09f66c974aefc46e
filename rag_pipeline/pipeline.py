"""`RagPipeline`: everything that a program needs, in one object."""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import copy
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypedDict, Unpack

from rag_pipeline.composition import Composition
from rag_pipeline.defaults import DEFAULT_COLLECTION, Mode, Origins
from rag_pipeline.errors import QueryError
from rag_pipeline.history.prompt_history import PromptHistory, default_user
from rag_pipeline.observing import Observer as PipelineObserver
from rag_pipeline.observing import Observers
from rag_pipeline.settings import Settings, load_settings
from storage.errors import NotFoundError
from storage.records import (
    LOCAL_OWNER,
    Committed,
    Origin,
    Principal,
    PromptId,
)

if TYPE_CHECKING:
    from ingest.feeds.uploads import UploadedFile
    from ingest.parse.media import MediaReader
    from ingest.pipeline import Observer
    from ingest.read import SourceDefaults
    from ingest.report import IngestReport
    from rag_pipeline.browsing import Browsing
    from rag_pipeline.datasets.export import ExportReport
    from rag_pipeline.datasets.selection import Selection
    from rag_pipeline.doctor import Diagnosis
    from rag_pipeline.entities.graph import EntityGraph
    from rag_pipeline.erasure import Forgetting
    from rag_pipeline.evaluation.answers import AnswersWanted
    from rag_pipeline.evaluation.answers import Asking as EvaluationAsking
    from rag_pipeline.evaluation.answers_calibration import Calibrated
    from rag_pipeline.evaluation.answers_report import AnswersReport
    from rag_pipeline.evaluation.evaluate import Searching, Wanted
    from rag_pipeline.evaluation.report import Report as EvaluationReport
    from rag_pipeline.evaluation.tune import Tuning
    from rag_pipeline.generation.answer import Answer, AnswerStream
    from rag_pipeline.generation.language_model import LanguageModel, Sampling, Turn
    from rag_pipeline.generation.templates import PromptTemplates
    from rag_pipeline.retrieval.query import AsOf
    from rag_pipeline.retrieval.rerank.texts import TextScorer
    from rag_pipeline.retrieval.search import SearchResult
    from rag_pipeline.synthetic.synthetic_data import SyntheticData
    from rag_pipeline.training.progress import Progress as TrainingProgress
    from rag_pipeline.tuning.courses import AnswerCourse, PreferenceCourse
    from rag_pipeline.tuning.embedder import EmbedderWanted, TunedEmbedder
    from rag_pipeline.tuning.generator_report import GeneratorWanted, TunedGenerator
    from rag_pipeline.versions.dataset_registry import DatasetRegistry
    from rag_pipeline.versions.model_registry import ModelRegistry
    from storage.documents import SourceDocument
    from storage.filters import Filter
    from storage.index_records import IndexRecords
    from storage.records import Vectors
    from storage.uploads import Uploads

PathLike = str | os.PathLike[str]


class Asking(TypedDict, total=False):
    """How a question is to be answered; nothing of it has to be given."""

    user: str | None
    """Who asks; else the principal."""
    session: str | None
    """The conversation that it belongs to."""
    parent_id: str | None
    """The exchange that it follows."""
    collection: str
    earlier: "Sequence[Turn]"
    """What was said before, oldest first."""
    instructions: str
    """What else the model is told about how to answer."""
    sampling: "Sampling | None"
    """How the model chooses its words; else as the settings say."""
    extractive: bool
    """Answer with sentences of the documents alone, and ask no model."""
    strict: bool | None
    """Leave out what nothing bears out, or else mark it; None: as the settings say."""
    origins: Origins
    """What may be evidence; real documents alone if not given."""
    template: str | None
    """A prompt template, NAME or NAME@VERSION; None: as the settings say."""
    application: str | None
    """The program that asks, as it calls itself."""
    category: str | None
    tags: Sequence[str]
    """Words under which to find it again."""
    idempotency_key: str | None
    """The same one from the same user is the same exchange, which is answered once."""


class RagPipeline:
    """Ingests documents, finds them, answers from them, and remembers what was asked.

    One object may be used by many threads. Other processes may work on the same home at the same
    time: what they commit is seen by the next search.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        principal: Principal = LOCAL_OWNER,
        language_model: "LanguageModel | None" = None,
    ) -> None:
        self._parts = Composition(settings, language_model=language_model)
        self._principal = principal
        self._observers = Observers()

    @classmethod
    def open(
        cls,
        home: PathLike | None = None,
        *,
        database: str | None = None,
        principal: Principal = LOCAL_OWNER,
        language_model: "LanguageModel | None" = None,
        **settings: Any,
    ) -> Self:
        """The pipeline in the folder `home`, made if there is none.

        `database` moves the truth elsewhere, by its URL; `settings` are fields of
        `rag_pipeline.settings.Settings`. `language_model` writes the answers instead of the
        generator that is set. Raises `SettingsError`, and `StorageError` for a database that can't
        be used.
        """
        given = load_settings(
            home=None if home is None else os.fspath(home), database_url=database, **settings
        )
        pipeline = cls(given, principal=principal, language_model=language_model)
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

    @property
    def forget(self) -> "Forgetting":
        """Takes a user, a conversation, a document or a source out of everything, for good."""
        from rag_pipeline.erasure import Forgetting

        return Forgetting(self._parts, self._principal)

    @property
    def browse(self) -> "Browsing":
        """What is known, page by page."""
        from rag_pipeline.browsing import Browsing

        return Browsing(self._parts, self._principal)

    @property
    def datasets(self) -> "DatasetRegistry":
        """Exports and snapshots that were registered."""
        from rag_pipeline.versions.dataset_registry import DatasetRegistry

        return DatasetRegistry(self._parts, self._principal)

    @property
    def models(self) -> "ModelRegistry":
        """Models that were registered."""
        from rag_pipeline.versions.model_registry import ModelRegistry

        return ModelRegistry(self._parts, self._principal)

    @property
    def synthetic(self) -> "SyntheticData":
        """Sets of records, what learns them, and what is drawn."""
        from rag_pipeline.synthetic.synthetic_data import SyntheticData

        return SyntheticData(self._parts, self._principal)

    @property
    def templates(self) -> "PromptTemplates":
        """What models are told around passages and questions, by name and version."""
        return self._parts.templates

    @property
    def uploads(self) -> "Uploads":
        """Files that were uploaded."""
        from storage.uploads import Uploads

        return Uploads(self._parts.database, self._principal)

    @property
    def parts(self) -> Composition:
        """What this pipeline is made of: for adapters to other libraries."""
        return self._parts

    @property
    def principal(self) -> Principal:
        """Who reads through this pipeline."""
        return self._principal

    def acting_for(self, principal: Principal) -> "RagPipeline":
        """The same pipeline, with the same parts, for somebody else; close only one of them."""
        other = copy(self)
        other._principal = principal
        return other

    def observed_by(self, *observers: PipelineObserver) -> "RagPipeline":
        """The same pipeline, with the same parts, whose searches and answers `observers` are told
        of; close only one of them."""
        other = copy(self)
        other._observers = Observers((*self._observers.watching, *observers))
        return other

    @property
    def entities(self) -> "EntityGraph":
        """People, organisations, places and terms that documents and answers mention."""
        from rag_pipeline.entities.graph import EntityGraph

        parts = self._parts
        return EntityGraph(parts.database, parts.reader, self._principal, lambda: parts.recogniser)

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
        wait: bool = True,
    ) -> "IngestReport":
        """Bring records of the form `{_id, title, text, metadata}` into a collection.

        `source` names where they come from: the same name and `_id` at the next run are the same
        document, and `prune` removes those of this source that do not come any more. All else is
        as for `ingest`, but for `LeaseBusyError` where this is not to `wait` for another writer.
        """
        from ingest.feeds.records import RecordsFeed

        defaults = _defaults(generator_id, read_labels, metadata)
        observer = _observer(on_commit, on_progress)
        with self._parts.ingestion(
            collection, defaults=defaults, observer=observer, source_name=source, wait=wait
        ) as ingestion:
            return ingestion.run(RecordsFeed(records, source), prune=prune)

    def ingest_uploads(
        self,
        files: "Sequence[UploadedFile]",
        *,
        collection: str = DEFAULT_COLLECTION,
        place: str = "",
        generator_id: str | None = None,
        read_labels: frozenset[str] = frozenset(),
        metadata: Mapping[str, Any] | None = None,
        source_name: str | None = None,
        wait: bool = True,
    ) -> "IngestReport":
        """Bring files that are open, or in memory, into a collection.

        A file of the same name at the same `place` at the next run is the same document. All else
        is as for `ingest_records`.
        """
        from ingest.feeds.uploads import UploadFeed

        with self._parts.ingestion(
            collection,
            defaults=_defaults(generator_id, read_labels, metadata),
            observer=_observer(None, None),
            source_name=source_name,
            wait=wait,
        ) as ingestion:
            return ingestion.run(UploadFeed(files, place))

    def remove(
        self,
        external_ids: Iterable[str],
        *,
        collection: str = DEFAULT_COLLECTION,
        on_commit: "Callable[[Committed], None] | None" = None,
    ) -> "IngestReport":
        """Remove from every source what has one of `external_ids`, in one generation.

        What the principal may not read stays; it and what is not there look the same. A file that
        is still where it was found comes back when it is ingested again. Raises `NotFoundError`
        for a collection that is not there.
        """
        from ingest.resume import resumed
        from storage.documents import sources_named

        names = [*dict.fromkeys(external_ids)]
        target = self._parts.reader.collection(collection, principal=self._principal)
        defaults, observer = _defaults(None, frozenset(), None), _observer(on_commit, None)

        def run() -> "IngestReport":
            with self._parts.ingestion(
                target.name, defaults=defaults, observer=observer
            ) as ingestion:
                gone = sources_named(
                    self._parts.database,
                    target.collection_id,
                    names,
                    principal=self._principal,
                    generation=ingestion.writer.generation(),
                )
                return ingestion.remove(gone)

        return resumed(run, patience_s=self.settings.database_patience_s)

    def remove_where(
        self,
        where: "str | Mapping[str, Any] | Filter",
        *,
        collection: str = DEFAULT_COLLECTION,
        source_name: str | None = None,
        wait: bool = True,
    ) -> "IngestReport":
        """Remove every source that fulfils `where` and that the principal may read, in one
        generation.

        Raises `NotFoundError` if there is none, `FilterError`, and `LeaseBusyError` where this is
        not to `wait` for another writer.
        """
        from storage.documents import sources_where

        filter_ = _filter(where)
        assert filter_ is not None
        target = self._parts.reader.collection(collection, principal=self._principal)
        about = (self._parts.database, target.collection_id, filter_, self._principal)
        if not sources_where(*about, generation=self._parts.reader.committed().generation):
            raise NotFoundError(f"nothing in collection {collection!r} is like that")
        with self._parts.ingestion(
            target.name,
            defaults=_defaults(None, frozenset(), None),
            observer=_observer(None, None),
            source_name=source_name,
            wait=wait,
        ) as ingestion:
            return ingestion.remove(sources_where(*about, generation=ingestion.writer.generation()))

    def documents(
        self, external_ids: Iterable[str], *, collection: str = DEFAULT_COLLECTION
    ) -> "list[SourceDocument]":
        """The documents with one of `external_ids`, in their order; unknown ones are left out.

        Raises `NotFoundError` for a collection that is not there.
        """
        from storage.documents import documents_named

        return documents_named(
            self._parts.database,
            self._parts.reader.collection(collection, principal=self._principal).collection_id,
            [*dict.fromkeys(external_ids)],
            principal=self._principal,
            generation=self._parts.reader.served().generation,
        )

    def embed(self, texts: Sequence[str]) -> "Vectors":
        """Unit vectors, float32 (len(texts), dimension), in the space of what is ingested.

        Raises `EmbeddingError`.
        """
        with self._observers.embedding(texts, model=self.settings.embedder) as watch:
            watch.value = vectors = self._parts.embedder.embed(texts)
        return vectors

    def text_scorer(self) -> "TextScorer":
        """Says how well texts that are in no collection fit a query."""
        return self._parts.text_scorer()

    def index_records(self, namespace: str) -> "IndexRecords":
        """Which keys a program that synchronises a store has written, and when."""
        from storage.index_records import IndexRecords

        return IndexRecords(self._parts.database, namespace)

    def search(
        self,
        query: str,
        *,
        limit: int = 10,
        mode: Mode = "hybrid",
        collection: str | Sequence[str] = DEFAULT_COLLECTION,
        origins: Origins | None = None,
        where: "str | Mapping[str, Any] | Filter | None" = None,
        as_of: "AsOf | None" = None,
        operators: bool = False,
        diversity: float = 0.0,
        collapse: bool = False,
        expand: int = 0,
        explain: bool = False,
        earlier: Sequence[str] = (),
        hyde: bool = False,
        vector: "Sequence[float] | Vectors | None" = None,
    ) -> "SearchResult":
        """The chunks that fit `query` best, of one collection or of several together.

        `where` is a filter, as text (`"year >= 2020 and tag in ('a', 'b')"`), as JSON or parsed.
        Synthetic documents are found only if `origins` says so, or `where` names `origin`.
        `as_of` is a generation or a time: the corpus as it was then. With `operators`, quotes,
        `*`, `+` and `-` in the query are operators. `diversity`, up to 1, prefers hits that say
        different things; `collapse` leaves out near copies of better hits; `expand` gives
        each hit so many characters of what stands around it; `explain` fills `explanations`.

        `earlier` are the questions before this one: the generator rewrites it to stand by itself;
        with `hyde` it writes a passage to look for. `vector` stands for the query on the vector
        side. Raises `QueryError`, `FilterError`, `AsOfError`, `NotFoundError`,
        `SpaceMismatchError`.
        """
        names = [collection] if isinstance(collection, str) else [*collection]
        with (
            self._observers.searching(query, collections=names, mode=mode, limit=limit) as watch,
            self._parts.turns.searching(),
            self._parts.database.one_look(),
        ):
            retriever = self._parts.retriever(
                collection, principal=self._principal, writes=hyde or bool(earlier)
            )
            watch.value = result = retriever.search(
                query,
                principal=self._principal,
                limit=limit,
                mode=mode,
                origins=None if origins is None else _origins(origins),
                where=_filter(where),
                as_of=as_of,
                operators=operators,
                diversity=diversity,
                collapse=collapse,
                expand=expand,
                explain=explain,
                earlier=earlier,
                hypothesis=hyde,
                vector=_vector(vector),
            )
        return result

    def search_documents(
        self,
        queries: Sequence[str],
        *,
        limit: int = 10,
        mode: Mode = "hybrid",
        collection: str | Sequence[str] = DEFAULT_COLLECTION,
        origins: Origins | None = None,
        where: "str | Mapping[str, Any] | Filter | None" = None,
        as_of: "AsOf | None" = None,
    ) -> "list[SearchResult]":
        """For each query enough hits to name `limit` documents, if there are so many.

        All are answered at one generation. Raises what `search` raises.
        """
        return self._parts.retriever(collection, principal=self._principal).search_documents(
            queries,
            principal=self._principal,
            limit=limit,
            mode=mode,
            origins=None if origins is None else _origins(origins),
            where=_filter(where),
            as_of=as_of,
        )

    def ask(self, question: str, **asking: "Unpack[Asking]") -> "Answer":
        """Answer from the documents, with checked citations, and keep a record of it."""
        stream = self.ask_stream(question, **asking)
        while True:
            try:
                next(stream)
            except StopIteration as ended:
                answer: Answer = ended.value
                return answer

    def ask_stream(self, question: str, **asking: "Unpack[Asking]") -> "AnswerStream":
        """Like `ask`, but a generator: it gives the draft as it is written, piece by piece, and
        returns the checked answer, which may be shorter. Closing it stops the model."""
        from rag_pipeline.generation.answer import Asked
        from rag_pipeline.generation.once import answered_once

        parent_id = asking.get("parent_id")
        asked = Asked(
            question=question,
            principal=self._principal,
            user=asking.get("user") or default_user(self._principal),
            session=asking.get("session"),
            parent_id=None if parent_id is None else PromptId(parent_id),
            earlier=tuple(asking.get("earlier", ())),
            instructions=asking.get("instructions", ""),
            sampling=asking.get("sampling"),
            strict=asking.get("strict"),
            origins=_origins(asking.get("origins", "real")),
            application=asking.get("application"),
            category=asking.get("category"),
            tags=tuple(asking.get("tags", ())),
            idempotency_key=asking.get("idempotency_key"),
        )
        collection = asking.get("collection", DEFAULT_COLLECTION)
        answerer = self._parts.answerer(
            collection,
            principal=self._principal,
            extractive=asking.get("extractive", False),
            template=asking.get("template"),
        )
        stream = answered_once(
            asked,
            lambda: answerer.stream(asked),
            history=self._parts.history,
            collection=collection,
        )
        return self._observers.answering(
            stream,
            question=question,
            collection=collection,
            session=asked.session,
            generator=self.settings.generator,
        )

    def doctor(self, *, repair: bool = False) -> "Diagnosis":
        """Compare the database with itself and its indexes; with `repair`, fill these anew."""
        from rag_pipeline.doctor import diagnose

        return diagnose(self._parts, repair=repair)

    def evaluate(
        self,
        folder: PathLike,
        searching: "Searching | None" = None,
        wanted: "Wanted | None" = None,
    ) -> "EvaluationReport":
        """Search for the judged queries of `folder` (BEIR's layout), and judge what is found.

        All of it happens at one generation. Raises `EvaluationError`, `NotFoundError`.
        """
        from rag_pipeline.evaluation.evaluate import Searching, Wanted, evaluate

        asked = replace(searching or Searching(), principal=self._principal)
        return evaluate(self._parts, Path(folder), asked, wanted or Wanted())

    def tune(
        self, folder: PathLike, *, collection: str = DEFAULT_COLLECTION, dry_run: bool = False
    ) -> "Tuning":
        """Fit how a collection is searched to judged queries of it; kept where it surely helps.

        Raises `EvaluationError`, `TuningError`, `NotFoundError`.
        """
        from rag_pipeline.evaluation.tune import tune

        return tune(
            self._parts, Path(folder), collection, principal=self._principal, dry_run=dry_run
        )

    def reset_tuning(self, *, collection: str = DEFAULT_COLLECTION) -> bool:
        """Forget what was fitted to a collection; whether there was anything."""
        from rag_pipeline.evaluation.tune import reset

        return reset(self._parts, collection, principal=self._principal)

    def evaluate_answers(
        self,
        path: PathLike,
        asking: "EvaluationAsking | None" = None,
        wanted: "AnswersWanted | None" = None,
        *,
        on_progress: "Callable[[int, int], None] | None" = None,
    ) -> "AnswersReport":
        """Ask the questions of a file whose answers are known, and judge what is said.

        The file is SQuAD's JSON, or JSONL of `{_id, question, answers}`. `on_progress` is told how
        many are answered, and of how many. Raises `EvaluationError`, `NotFoundError`.
        """
        from rag_pipeline.evaluation.answers import AnswersWanted, Asking, evaluate_answers

        asked = replace(asking or Asking(), principal=self._principal)
        return evaluate_answers(
            self._parts, Path(path), asked, wanted or AnswersWanted(), on_progress
        )

    def calibrate(
        self, path: PathLike, *, collection: str = DEFAULT_COLLECTION, dry_run: bool = False
    ) -> "Calibrated":
        """Fit how sure answers of a collection are to questions with known answers.

        Raises `EvaluationError`, `NotFoundError`.
        """
        from rag_pipeline.evaluation.answers_calibration import calibrate

        return calibrate(
            self._parts, Path(path), collection, principal=self._principal, dry_run=dry_run
        )

    def reset_calibration(self, *, collection: str = DEFAULT_COLLECTION) -> bool:
        """Forget what was calibrated for a collection; whether there was anything."""
        from rag_pipeline.evaluation.answers_calibration import reset

        return reset(self._parts, collection, principal=self._principal)

    def export(
        self,
        path: PathLike,
        selection: "Selection | None" = None,
        *,
        collection: str = DEFAULT_COLLECTION,
        origins: Origins = "real",
        overwrite: bool = False,
        register: str | None = None,
    ) -> "ExportReport":
        """Write labelled documents to `path`, a .jsonl or .parquet file: one row a source.

        With `register` the file is a version of the data set of that name. Raises `DatasetError`,
        `NotFoundError`, `InvalidRecordError`.
        """
        from rag_pipeline.datasets.export import export
        from rag_pipeline.datasets.selection import Selection
        from storage.export import snapshot

        if register is not None:
            self.datasets.check_name(register)
        with snapshot(
            self._parts.database,
            collection,
            principal=self._principal,
            origins=_origins(origins),
        ) as taken:
            report = export(
                taken,
                Path(path),
                selection or Selection(),
                overwrite=overwrite,
                with_members=register is not None,
            )
        if register is not None:
            self.datasets.add_documents(register, report)
        return report

    def tune_embedder(
        self,
        wanted: "EmbedderWanted | None" = None,
        *,
        observe: "Callable[[TrainingProgress], None] | None" = None,
        tell: Callable[[str], None] = lambda _: None,
    ) -> "TunedEmbedder":
        """Train an embedder on what is here, and keep it as a version, active only if it is better.

        Run again after it was broken off, it goes on. `observe` is told of each step, `tell` in a
        few words what is being done. Raises `ExamplesError`, `TrainingError`, `EvaluationError`,
        `NotFoundError`; then nothing is registered.
        """
        from rag_pipeline.training.progress import ignore
        from rag_pipeline.tuning.embedder import EmbedderWanted, tune_embedder

        asked = replace(wanted or EmbedderWanted(), principal=self._principal)
        return tune_embedder(self._parts, asked, observe=observe or ignore, tell=tell)

    def tune_generator(
        self,
        wanted: "GeneratorWanted | None" = None,
        course: "AnswerCourse | None" = None,
        *,
        observe: "Callable[[TrainingProgress], None] | None" = None,
        tell: Callable[[str], None] = lambda _: None,
    ) -> "TunedGenerator":
        """Train a generator on what should be answered, and keep it as a version, active only if it
        is better.

        Run again after it was broken off, it goes on. `observe` is told of each step, `tell` in a
        few words what is being done. Raises `ExamplesError`, `TrainingError`, `ModelError`,
        `NotFoundError`; then nothing is registered.
        """
        from rag_pipeline.training.progress import ignore
        from rag_pipeline.tuning.courses import AnswerCourse
        from rag_pipeline.tuning.generator import tune_generator
        from rag_pipeline.tuning.generator_report import GeneratorWanted

        asked = replace(wanted or GeneratorWanted(), principal=self._principal)
        return tune_generator(
            self._parts, course or AnswerCourse(), asked, observe=observe or ignore, tell=tell
        )

    def tune_preference(
        self,
        wanted: "GeneratorWanted | None" = None,
        course: "PreferenceCourse | None" = None,
        *,
        observe: "Callable[[TrainingProgress], None] | None" = None,
        tell: Callable[[str], None] = lambda _: None,
    ) -> "TunedGenerator":
        """Train a generator on which of two answers is better; else like `tune_generator`."""
        from rag_pipeline.training.progress import ignore
        from rag_pipeline.tuning.courses import PreferenceCourse
        from rag_pipeline.tuning.generator import tune_generator
        from rag_pipeline.tuning.generator_report import GeneratorWanted

        asked = replace(wanted or GeneratorWanted(), principal=self._principal)
        return tune_generator(
            self._parts, course or PreferenceCourse(), asked, observe=observe or ignore, tell=tell
        )

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


def _filter(given: "str | Mapping[str, Any] | Filter | None") -> "Filter | None":
    if given is None:
        return None
    from storage.filters import from_json, parse

    if isinstance(given, str):
        return parse(given)
    return from_json(given) if isinstance(given, Mapping) else given


def _vector(given: "Sequence[float] | Vectors | None") -> "Vectors | None":
    if given is None:
        return None
    import numpy as np

    try:
        return np.asarray(given, np.float32)
    except (TypeError, ValueError) as error:
        raise QueryError(f"the vector can't be read: {error}; give a list of numbers") from error


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
