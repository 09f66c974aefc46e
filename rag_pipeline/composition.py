"""The one module that names concrete parts and wires them.

Everything is built when it is first needed, and what is heavy is imported then: a command that
only reads the history loads neither an index nor a model.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cached_property
from threading import RLock
from typing import TYPE_CHECKING
from uuid import uuid4

from rag_pipeline.errors import SettingsError
from rag_pipeline.settings import CollectionSettings, Settings
from storage import schema
from storage.collection import check_space, claim_space, open_collection
from storage.engine import Database
from storage.errors import NotFoundError
from storage.history import History
from storage.lease import writer_lease
from storage.reading import CorpusReader
from storage.records import Collection, CollectionId, RunId

if TYPE_CHECKING:
    from ingest.embed import Embedder
    from ingest.parse.media import MediaReader
    from ingest.pipeline import Ingestion, Observer
    from ingest.read import SourceDefaults
    from ingest.sandbox.readers import DocumentReader
    from rag_pipeline.generation.answer import Answerer
    from rag_pipeline.generation.language_model import LanguageModel
    from rag_pipeline.retrieval.search import Retriever
    from rag_pipeline.weights.store import WeightStore
    from storage.following import Follower
    from storage.keyword_index.bm25 import Bm25Index
    from storage.vector_index.faiss_flat import FaissFlatIndex

ECHO = "echo"
_NO_FENCE = -1
"""Under which nothing can be committed."""


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

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._followers: dict[str, tuple[Follower[FaissFlatIndex], Follower[Bm25Index]]] = {}
        self._building = RLock()
        self._open = ExitStack()

    @cached_property
    def database(self) -> Database:
        """The database that holds the truth, at the newest migration."""
        database = unchecked_database(self.settings)
        schema.prepare(database)
        return database

    @cached_property
    def reader(self) -> CorpusReader:
        return CorpusReader(self.database)

    @cached_property
    def history(self) -> History:
        return History(self.database)

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
        return runtimes.open(self.weights.resolve(self.settings.embedder))

    @cached_property
    def language_model(self) -> "LanguageModel":
        """The generator; it loads its weights when it generates."""
        from rag_pipeline.generation.echo_model import EchoModel
        from rag_pipeline.generation.transformers_model import TransformersModel

        if self.settings.generator == ECHO:
            return EchoModel()
        found = self.weights.resolve(self.settings.generator)
        return TransformersModel(found.folder, name=found.name, weights_sha256=found.weights_sha256)

    @cached_property
    def parser(self) -> "DocumentReader":
        """Parses files in a process of their own, which starts with the first."""
        from ingest.sandbox.parser_process import ParserProcess

        return self._open.enter_context(ParserProcess(self.settings.parsing))

    def followers(
        self, collection: Collection
    ) -> "tuple[Follower[FaissFlatIndex], Follower[Bm25Index]]":
        """The indexes of a collection, as last sealed on this machine, and what moves them on."""
        with self._building:
            if collection.name not in self._followers:
                self._followers[collection.name] = self._new_followers(collection)
            return self._followers[collection.name]

    def _new_followers(
        self, collection: Collection
    ) -> "tuple[Follower[FaissFlatIndex], Follower[Bm25Index]]":
        from storage.following import Follower
        from storage.keyword_index.bm25 import Bm25Index
        from storage.vector_index.faiss_flat import FaissFlatIndex

        assert collection.space is not None
        dimension = collection.space.dimension
        sealed = self.settings.home / "indexes" / str(collection.collection_id)
        about = (self.database, collection.collection_id, dimension)
        vectors = FaissFlatIndex(sealed.with_suffix(".vectors"), dimension=dimension)
        return Follower(*about, vectors), Follower(
            *about, Bm25Index(sealed.with_suffix(".keywords"))
        )

    def retriever(self, name: str) -> "Retriever":
        """Search over the collection of that name.

        Raises `NotFoundError` if there is none or nothing was ingested into it,
        `SpaceMismatchError` if it was embedded by another model.
        """
        from rag_pipeline.retrieval.search import Retriever

        collection = self.reader.collection(name)
        if collection.space is None:
            raise NotFoundError(f"nothing was ingested into collection {name!r} yet")
        check_space(collection, self.embedder.space)
        vectors, keywords = self.followers(collection)
        return Retriever(
            reader=self.reader,
            collection=collection,
            vectors=vectors,
            keywords=keywords,
            embedder=self.embedder,
            settings=self.settings.retrieval,
        )

    def answerer(self, name: str) -> "Answerer":
        """Answers from the collection of that name."""
        from rag_pipeline.generation.answer import Answerer

        return Answerer(
            retriever=self.retriever(name),
            reader=self.reader,
            embed=self.embedder.embed,
            model=self.language_model,
            history=self.history,
            settings=self.settings.generation,
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
        with writer_lease(self.database, wait=wait) as fence:
            collection = open_collection(self.database, name)
            claim_space(self.database, collection, self.embedder.space)
            yield self._ingestion(
                collection, defaults, observer, fence=fence, source_name=source_name, media=media
            )

    @contextmanager
    def preview(
        self, name: str, *, defaults: "SourceDefaults", observer: "Observer"
    ) -> Iterator["Ingestion"]:
        """Ingestion that can only be previewed: it waits for no writer and changes nothing."""
        try:
            collection = self.reader.collection(name)
        except NotFoundError:
            collection = Collection(collection_id=CollectionId(0), name=name, space=None)
        check_space(collection, self.embedder.space)
        yield self._ingestion(collection, defaults, observer, fence=_NO_FENCE)

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
