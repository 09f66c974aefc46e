"""The one module that names concrete parts and wires them.

Everything is built when it is first needed, and what is heavy is imported then: a command that
only reads the history loads neither an index nor a model.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from copy import copy
from functools import cached_property
from pathlib import Path
from threading import RLock
from typing import TYPE_CHECKING
from uuid import uuid4

from pydantic import ValidationError

from rag_pipeline.errors import SettingsError
from rag_pipeline.retrieval.settings import RetrievalSettings
from rag_pipeline.settings import CollectionSettings, Settings
from storage import schema
from storage.engine import Database
from storage.errors import NotFoundError
from storage.records import LOCAL_OWNER, Collection, CollectionId, Principal, RunId

if TYPE_CHECKING:
    from ingest.embed import Embedder
    from ingest.parse.media import MediaReader
    from ingest.pipeline import Ingestion, Observer
    from ingest.read import SourceDefaults
    from ingest.sandbox.readers import DocumentReader
    from rag_pipeline.entities.recognise import EntityRecogniser
    from rag_pipeline.generation.answer import Answerer
    from rag_pipeline.generation.confidence import Judge
    from rag_pipeline.generation.conversation import Rewrite
    from rag_pipeline.generation.drafting import Drafter
    from rag_pipeline.generation.entailment import EntailmentModel
    from rag_pipeline.generation.language_model import LanguageModel
    from rag_pipeline.generation.templates import PromptTemplates
    from rag_pipeline.retrieval.rerank.port import Reranker
    from rag_pipeline.retrieval.rerank.texts import TextScorer
    from rag_pipeline.retrieval.search import Retriever
    from rag_pipeline.retrieval.turns import Turns
    from rag_pipeline.retrieval.view import Shelf
    from rag_pipeline.weights.store import ResolvedModel, WeightStore
    from storage.following import Follower
    from storage.history import History
    from storage.keyword_index.bm25 import Bm25Index
    from storage.listing import DocumentListing
    from storage.prompts.listing import PromptListing
    from storage.reading import CorpusReader
    from storage.record_sets.sets import RecordSets
    from storage.vector_index.faiss_index import FaissIndex
    from storage.versions.registry import Versions
    from storage.versions.values import ModelKind

ECHO = "echo"


def unchecked_database(settings: Settings) -> Database:
    """The database that holds the truth, at whatever migration it is; the home is made for it.

    Raises `SettingsError` for a home that can't be made, `StorageError` for a URL that is none.
    """
    home = settings.home
    try:
        home.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SettingsError(
            f"the home {home} can't be used: {error.strerror}; give another with --home"
        ) from error
    if settings.database_url is None:
        return Database.in_file(home.resolve() / "rag.db")
    return Database(settings.database_url)


class Composition:
    """The parts of one pipeline."""

    def __init__(
        self, settings: Settings, *, language_model: "LanguageModel | None" = None
    ) -> None:
        self.settings = settings
        self._given_model = language_model
        self._followers: dict[str, tuple[Follower[FaissIndex], Follower[Bm25Index]]] = {}
        self._rerankers: dict[Path, Reranker] = {}
        self._building = RLock()
        self._open = ExitStack()

    def writing_with(self, generator: str) -> "Composition":
        """The same parts, but that generator; close only one of them."""
        other = copy(self)
        other.__dict__.pop("language_model", None)
        other._given_model = None
        other.settings = self.settings.model_copy(update={"generator": generator})
        return other

    @cached_property
    def database(self) -> Database:
        """The database that holds the truth, at the newest migration."""
        database = unchecked_database(self.settings)
        schema.prepare(database)
        return database

    @cached_property
    def reader(self) -> "CorpusReader":
        """The documents, as whoever asks may read them."""
        from storage.reading import CorpusReader

        return CorpusReader(self.database)

    @cached_property
    def history(self) -> "History":
        """The record of all exchanges."""
        from storage.history import History

        return History(self.database)

    @cached_property
    def documents(self) -> "DocumentListing":
        """The documents, for people to look through."""
        from storage.listing import DocumentListing

        return DocumentListing(self.database)

    @cached_property
    def prompts(self) -> "PromptListing":
        """The history, for people to look through."""
        from storage.prompts.listing import PromptListing

        return PromptListing(self.database)

    @cached_property
    def versions(self) -> "Versions":
        """Data sets and models that were registered."""
        from storage.versions.registry import Versions

        return Versions(self.database, self.settings.home)

    @cached_property
    def record_sets(self) -> "RecordSets":
        """Sets of records, real and synthetic."""
        from storage.record_sets.sets import RecordSets

        return RecordSets(self.database)

    @cached_property
    def templates(self) -> "PromptTemplates":
        """Prompt templates by name."""
        from rag_pipeline.generation.templates import PromptTemplates

        return PromptTemplates(self.database)

    @cached_property
    def weights(self) -> "WeightStore":
        """The models on this machine."""
        from rag_pipeline.weights.store import WeightStore

        return WeightStore(self.settings.cache_dir)

    @cached_property
    def embedder(self) -> "Embedder":
        """The embedder of documents and questions alike; it loads its weights when it embeds."""
        from rag_pipeline.weights.runtimes import EmbedderRuntimes

        runtimes = EmbedderRuntimes(self.settings.embedding, self.settings.cache_dir)
        return runtimes.open(self.resolved(self.settings.embedder, "embedder"))

    def resolved(self, name: str, kind: "ModelKind") -> "ResolvedModel":
        """The model that a setting names, on this machine and whole."""
        from rag_pipeline.versions.resolve import is_reference, resolve_version

        if is_reference(name):
            return resolve_version(name, kind, self.versions, self.weights)
        return self.weights.resolve(name)

    @cached_property
    def language_model(self) -> "LanguageModel":
        """The generator; it loads its weights, or asks its server, when it generates.

        Raises `SettingsError` and `WeightsMissingError` for a name that is none, and what
        `_generator` takes for an outage.
        """
        from rag_pipeline.generation.drafting import EXTRACTIVE
        from rag_pipeline.generation.echo_model import EchoModel

        if self._given_model is not None:
            return self._given_model
        generator = self.settings.generator
        if generator == ECHO:
            return EchoModel()
        if generator == EXTRACTIVE:
            raise SettingsError(
                "a model has to write this, and the setting `generator` is `extractive`: name one"
            )
        if generator.lower().startswith(("http://", "https://")):
            return self._served_model(generator)
        return self._local_model(generator)

    def _served_model(self, url: str) -> "LanguageModel":
        from rag_pipeline.generation.server_model import ServerModel

        model = ServerModel(url, self.settings.generation.server)
        self._open.callback(model.close)
        return model

    def _local_model(self, name: str) -> "LanguageModel":
        from rag_pipeline.generation.loading import reads_apart
        from rag_pipeline.generation.seq2seq_model import Seq2SeqModel
        from rag_pipeline.generation.transformers_model import TransformersModel
        from rag_pipeline.weights.gguf import dequantised

        entry = self.weights.catalogue.get(name)
        if entry is not None and entry.role != "generator":
            raise SettingsError(
                f"the generator {name!r} is no model that writes; choose one of `rag models list`"
            )
        found = self.resolved(name, "generator")
        folder = dequantised(found, self.weights)
        settings = self.settings.generation
        kind = Seq2SeqModel if reads_apart(folder) else TransformersModel
        return kind(
            folder,
            name=found.name,
            weights_sha256=found.weights_sha256,
            threads=settings.threads,
            device=settings.device,
            dtype=settings.dtype,
        )

    def _generator(self) -> "LanguageModel":
        """The generator, or one that says why it is not here.

        A name that is none is a mistake, and raised. A known model that was not pulled, or whose
        files are damaged, is an outage: it is told, and answers do without it.
        """
        from rag_pipeline.errors import GeneratorUnavailableError
        from rag_pipeline.generation.absent_model import AbsentModel
        from rag_pipeline.versions.resolve import is_reference
        from rag_pipeline.weights.errors import WeightsDamagedError, WeightsMissingError

        name = self.settings.generator
        try:
            return self.language_model
        except (WeightsDamagedError, GeneratorUnavailableError) as error:
            return AbsentModel(name, because=str(error))
        except WeightsMissingError as error:
            if name not in self.weights.catalogue and not is_reference(name):
                raise
            return AbsentModel(name, because=f"{error}.")

    @cached_property
    def recogniser(self) -> "EntityRecogniser":
        """Finds people, organisations, places and terms in texts."""
        from rag_pipeline.entities.recognise import RuleRecogniser

        return RuleRecogniser()

    @cached_property
    def parser(self) -> "DocumentReader":
        """Parses files in a process of their own, which starts with the first."""
        from ingest.sandbox.parser_process import ParserProcess

        return self._open.enter_context(ParserProcess(self.settings.parsing))

    def followers(
        self, collection: Collection
    ) -> "tuple[Follower[FaissIndex], Follower[Bm25Index]]":
        """The indexes of a collection, as last sealed on this machine, and what moves them on."""
        with self._building:
            if collection.name not in self._followers:
                self._followers[collection.name] = self._new_followers(collection)
            return self._followers[collection.name]

    def open_followers(self) -> "dict[str, tuple[Follower[FaissIndex], Follower[Bm25Index]]]":
        """Those that were asked for so far, by collection."""
        with self._building:
            return dict(self._followers)

    def _new_followers(
        self, collection: Collection
    ) -> "tuple[Follower[FaissIndex], Follower[Bm25Index]]":
        from storage.following import Follower
        from storage.keyword_index.bm25 import Bm25Index
        from storage.vector_index.faiss_index import FaissIndex

        assert collection.space is not None
        dimension = collection.space.dimension
        sealed = self.settings.home / "indexes" / str(collection.collection_id)
        about = (self.database, collection.collection_id, dimension)
        vectors = FaissIndex(sealed.with_suffix(".vectors"), dimension=dimension)
        return Follower(*about, vectors), Follower(
            *about, Bm25Index(sealed.with_suffix(".keywords"))
        )

    def retriever(
        self, names: str | Sequence[str], *, principal: Principal, writes: bool = False
    ) -> "Retriever":
        """Search over a collection, or several together, that `principal` may know of.

        With `writes` the generator helps to word queries. Raises `NotFoundError` if there is no
        such collection or nothing was ingested into it, `SpaceMismatchError` if it was embedded
        by another model.
        """
        from rag_pipeline.retrieval.rewriting import ModelQueryWriter
        from rag_pipeline.retrieval.search import Retriever
        from rag_pipeline.retrieval.understanding import Understanding

        wanted = [names] if isinstance(names, str) else dict.fromkeys(names)
        collections = [self._searchable(name, principal) for name in wanted]
        if not collections:
            raise NotFoundError("no collection is named; name one to search")
        writer = ModelQueryWriter(model=self.language_model) if writes else None
        settings = self._retrieval_settings(collections)
        return Retriever(
            reader=self.reader,
            shelves=tuple(map(self._shelf, collections)),
            understanding=Understanding(embedder=self.embedder, writer=writer),
            settings=settings,
            reranker=self._reranker(settings),
            turns=self.turns,
        )

    @cached_property
    def turns(self) -> "Turns":
        """Who may search now."""
        from rag_pipeline.retrieval.turns import Turns

        return Turns(waits_for_server=not self.database.is_sqlite)

    def _searchable(self, name: str, principal: Principal) -> Collection:
        from storage.collection import check_space

        collection = self.reader.collection(name, principal=principal)
        if collection.space is None:
            raise NotFoundError(f"nothing was ingested into collection {name!r} yet")
        check_space(collection, self.embedder.space)
        return collection

    def _shelf(self, collection: Collection) -> "Shelf":
        from rag_pipeline.retrieval.view import Shelf

        vectors, keywords = self.followers(collection)
        return Shelf(collection=collection, vectors=vectors, keywords=keywords)

    def _reranker(self, settings: RetrievalSettings) -> "Reranker | None":
        """The cross-encoder that is set, or the features that were fitted, if any."""
        if settings.rerank_depth == 0:
            return None
        if settings.cross_encoder is not None:
            return self._cross_encoder(settings.cross_encoder)
        if settings.linear_reranker is None:
            return None
        from rag_pipeline.retrieval.rerank.linear import LinearModel, LinearReranker

        return LinearReranker(model=LinearModel.of(settings.linear_reranker))

    def text_scorer(self) -> "TextScorer":
        """Scores texts that are in no collection, by the cross-encoder that is set, if one is."""
        from rag_pipeline.retrieval.rerank.texts import CrossEncoderScorer, OverlapScorer

        folder = self.settings.retrieval.cross_encoder
        if folder is not None:
            return CrossEncoderScorer(folder.name, self._cross_encoder(folder))
        return OverlapScorer(f"{self.embedder.space.model}+bm25", self.embedder)

    def _cross_encoder(self, folder: Path) -> "Reranker":
        """The one in `folder`, kept: it is loaded when it first reranks."""
        from rag_pipeline.retrieval.rerank.cross_encoder import CrossEncoderReranker

        with self._building:
            return self._rerankers.setdefault(folder, CrossEncoderReranker(folder))

    def _retrieval_settings(self, collections: Sequence[Collection]) -> RetrievalSettings:
        """What the user has set, before what was fitted to the one collection that is searched."""
        given = self.settings.retrieval
        name, fitted = collections[0].name, collections[0].retrieval
        if len(collections) > 1 or not fitted:
            return given
        chosen = {name: getattr(given, name) for name in given.model_fields_set}
        try:
            return RetrievalSettings(**{**fitted, **chosen})
        except ValidationError as error:
            raise SettingsError(
                f"the settings that were fitted to collection {name!r} can't be used:"
                f" {error.errors()[0]['msg']}; remove them with: rag eval tune --reset -c {name}"
            ) from error

    def answerer(
        self,
        name: str,
        *,
        principal: Principal,
        extractive: bool = False,
        template: str | None = None,
    ) -> "Answerer":
        """Answers from the collection of that name; if `extractive`, without a model.

        `template` names a prompt template; None: as the settings say.
        """
        from rag_pipeline.generation.answer import Answerer

        retriever = self.retriever(name, principal=principal)
        return Answerer(
            retriever=retriever,
            reader=self.reader,
            embed=self.embedder.embed,
            drafter=self._drafter(extractive=extractive),
            history=self.history,
            settings=self.settings.generation,
            template=self.templates.find(template or self.settings.generation.template),
            prices=self.settings.prices,
            rewrite=self._rewrite(extractive=extractive),
            judge=self._judge(retriever.collection),
            entailment=self._entailment,
        )

    @cached_property
    def _entailment(self) -> "EntailmentModel | None":
        """Tells what a source bears out, if a model for it is set; loaded when it is asked."""
        from rag_pipeline.generation.entailment import EntailmentClassifier

        folder = self.settings.generation.entailment
        return None if folder is None else EntailmentClassifier(folder)

    def _judge(self, collection: Collection) -> "Judge":
        """By what was measured of the collection's own answers, or else by the default."""
        from rag_pipeline.generation.calibration import DEFAULT, Calibration
        from rag_pipeline.generation.confidence import Judge

        measured, settings = collection.answering, self.settings.generation
        calibration = (
            DEFAULT if measured is None else Calibration.of(measured, collection=collection.name)
        )
        return Judge.of(calibration, risk=settings.risk, certainty=settings.certainty)

    def _rewrite(self, *, extractive: bool) -> "Rewrite":
        """How a question that follows others is made to stand alone; `extractive` asks no model."""
        from rag_pipeline.generation.conversation import as_asked, standalone
        from rag_pipeline.retrieval.rewriting import ModelQueryWriter

        way = self.settings.generation.rewrite
        if way == "model" and self._asks_a_model(extractive=extractive):
            return ModelQueryWriter(model=self._generator()).following
        return as_asked if way == "off" else standalone

    def _asks_a_model(self, *, extractive: bool) -> bool:
        from rag_pipeline.generation.drafting import EXTRACTIVE

        return not extractive and (
            self._given_model is not None or self.settings.generator != EXTRACTIVE
        )

    def _drafter(self, *, extractive: bool) -> "Drafter":
        from rag_pipeline.generation.drafting import Extractive, Writing

        if not self._asks_a_model(extractive=extractive):
            return Extractive()
        settings = self.settings.generation
        return Writing(
            model=self._generator(),
            sentences=settings.sentences,
            shown_tokens=settings.shown_tokens,
            history_tokens=settings.history_tokens,
            answer_sentences=settings.answer_sentences,
        )

    @contextmanager
    def ingestion(
        self,
        name: str,
        *,
        defaults: "SourceDefaults",
        observer: "Observer",
        wait: bool = True,
        source_name: str | None = None,
        media: "MediaReader | None" = None,
    ) -> Iterator["Ingestion"]:
        """Ingestion into the collection of that name, made if need be, under the writer's lease.

        Raises `LeaseBusyError` if another writer has it and this is not to `wait`.
        """
        from storage.collection import claim_space, open_collection
        from storage.lease import writer_lease

        with writer_lease(self.database, wait=wait) as fence:
            collection = open_collection(self.database, name)
            claim_space(self.database, collection, self.embedder.space)
            yield self._ingestion(
                collection, defaults, observer, fence=fence, source_name=source_name, media=media
            )
            if self.settings.entities.after_ingest:
                self._find_entities(collection, fence)

    def _find_entities(self, collection: Collection, fence: int) -> None:
        from rag_pipeline.entities.following import catch_up
        from storage.entities import EntityWriter

        writer = EntityWriter(database=self.database, collection=collection, fence=fence)
        catch_up(writer, self.recogniser)

    @contextmanager
    def preview(
        self, name: str, *, defaults: "SourceDefaults", observer: "Observer"
    ) -> Iterator["Ingestion"]:
        """Ingestion that can only be previewed: it waits for no writer and changes nothing."""
        from storage.collection import check_space
        from storage.lease import NO_FENCE

        try:
            collection = self.reader.collection(name, principal=LOCAL_OWNER)
        except NotFoundError:
            collection = Collection(collection_id=CollectionId(0), name=name, space=None)
        check_space(collection, self.embedder.space)
        yield self._ingestion(collection, defaults, observer, fence=NO_FENCE)

    def _ingestion(
        self,
        collection: Collection,
        defaults: "SourceDefaults",
        observer: "Observer",
        *,
        fence: int,
        source_name: str | None = None,
        media: "MediaReader | None" = None,
    ) -> "Ingestion":
        from ingest.make import Maker
        from ingest.pipeline import Ingestion
        from ingest.place import Placer
        from ingest.sandbox.readers import InProcessReader
        from storage.corpus import CorpusWriter

        writer = CorpusWriter(
            database=self.database,
            collection=collection,
            fence=fence,
            run_id=RunId(uuid4().hex),
            source_name=source_name,
        )
        own = self.settings.collections.get(collection.name, CollectionSettings())
        maker = Maker(
            writer=writer,
            embedder=self.embedder,
            chunking=own.chunking or self.settings.chunking,
            dedup=own.dedup or self.settings.dedup,
        )
        return Ingestion(
            writer=writer,
            placer=Placer(writer=writer, maker=maker),
            documents=self.parser,
            lines=InProcessReader(self.settings.parsing),
            batching=self.settings.batching,
            media=media,
            ocr=self.settings.parsing.ocr,
            defaults=defaults,
            observer=observer,
        )

    def close(self) -> None:
        """Give back what is open."""
        self._open.close()
        if "database" in self.__dict__:
            self.database.close()
