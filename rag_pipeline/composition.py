"""The one module that names concrete parts and wires them.

Everything is built when it is first needed, and what is heavy is imported then: a command that
only reads the history loads neither an index nor a model.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from threading import RLock
from typing import TYPE_CHECKING
from uuid import uuid4

from rag_pipeline.errors import SettingsError
from rag_pipeline.settings import Settings
from storage import schema
from storage.collection import check_space, claim_space, open_collection
from storage.engine import Database
from storage.errors import NotFoundError
from storage.history import History
from storage.lease import writer_lease
from storage.reading import CorpusReader
from storage.records import Collection, RunId

if TYPE_CHECKING:
    from ingest.embed import Embedder
    from ingest.pipeline import Ingestion, Observer, SourceDefaults
    from rag_pipeline.generation.answer import Answerer
    from rag_pipeline.generation.language_model import LanguageModel
    from rag_pipeline.retrieval.search import Retriever
    from rag_pipeline.weights.store import WeightStore
    from storage.following import Follower
    from storage.keyword_index.bm25 import Bm25Index
    from storage.vector_index.faiss_flat import FaissFlatIndex

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

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._followers: dict[str, tuple[Follower[FaissFlatIndex], Follower[Bm25Index]]] = {}
        self._building = RLock()

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
        self, name: str, *, defaults: "SourceDefaults", observer: "Observer"
    ) -> Iterator["Ingestion"]:
        """Ingestion into the collection of that name, made if need be, under the writer's lease."""
        from ingest.pipeline import Ingestion
        from ingest.place import Placer
        from storage.corpus import CorpusWriter

        with writer_lease(self.database) as fence:
            collection = open_collection(self.database, name)
            claim_space(self.database, collection, self.embedder.space)
            writer = CorpusWriter(
                database=self.database,
                collection=collection,
                fence=fence,
                run_id=RunId(uuid4().hex),
            )
            yield Ingestion(
                writer=writer,
                placer=Placer(
                    writer=writer, embedder=self.embedder, chunking=self.settings.chunking
                ),
                batching=self.settings.batching,
                defaults=defaults,
                observer=observer,
            )

    def close(self) -> None:
        """Give back what is open."""
        if "database" in self.__dict__:
            self.database.close()
