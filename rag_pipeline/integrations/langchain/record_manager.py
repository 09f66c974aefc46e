"""What LangChain's `index()` remembers of its runs, kept in the pipeline's own database.

What is remembered and what is stored must say the same. So a manager that is given its store takes
for written only what is still there: what was deleted otherwise is indexed again.
"""

from collections.abc import Sequence

from langchain_core.indexing import RecordManager
from langchain_core.runnables.config import run_in_executor

from rag_pipeline.integrations.langchain.errors import ArgumentError
from rag_pipeline.integrations.langchain.vector_store import RagVectorStore
from rag_pipeline.pipeline import RagPipeline


class RagRecordManager(RecordManager):
    """The keys that were indexed under `namespace`, and when.

    Its clock never stands still between two runs and never goes back, whatever the machine's does.
    """

    def __init__(
        self,
        namespace: str,
        *,
        pipeline: RagPipeline | None = None,
        store: RagVectorStore | None = None,
    ) -> None:
        """Give the `store` that is indexed, or only a `pipeline` to remember another one's keys.

        Raises `InvalidRecordError` for a namespace that can't be one.
        """
        super().__init__(namespace)
        if store is not None:
            pipeline = store.pipeline
        if pipeline is None:
            raise ArgumentError("a record manager needs a place: give its store, or a pipeline")
        self.pipeline = pipeline
        self._records = pipeline.index_records(namespace)
        self.store = store

    def create_schema(self) -> None:
        """Nothing to do: the table came with the database."""

    async def acreate_schema(self) -> None:
        """Nothing to do: the table came with the database."""

    def get_time(self) -> float:
        """Seconds since 1970 by the database's clock, later than every record."""
        return self._records.time()

    async def aget_time(self) -> float:
        """As `get_time`."""
        return await run_in_executor(None, self.get_time)

    def update(
        self,
        keys: Sequence[str],
        *,
        group_ids: Sequence[str | None] | None = None,
        time_at_least: float | None = None,
    ) -> None:
        """Note that `keys` are there now; a key without a group stays in the one that it is in.

        Raises `ArgumentError` where there are not as many groups as keys, and where the clock is
        behind `time_at_least`.
        """
        if group_ids is not None and len(keys) != len(group_ids):
            raise ArgumentError(
                f"{len(keys)} keys came with {len(group_ids)} group ids; give one for each"
            )
        at = self.get_time()
        if time_at_least is not None and at < time_at_least:
            raise ArgumentError(
                f"the database's clock says {at}, before {time_at_least}; index again once it is"
                " set right"
            )
        groups = [None] * len(keys) if group_ids is None else group_ids
        self._records.mark(dict(zip(keys, groups, strict=True)), at=at)

    async def aupdate(
        self,
        keys: Sequence[str],
        *,
        group_ids: Sequence[str | None] | None = None,
        time_at_least: float | None = None,
    ) -> None:
        """As `update`."""
        await run_in_executor(
            None, self.update, keys, group_ids=group_ids, time_at_least=time_at_least
        )

    def exists(self, keys: Sequence[str]) -> list[bool]:
        """For each key whether it was indexed, and is still in the store."""
        known = self._records.known(keys)
        if self.store is not None and known:
            known = self.store.held([*known])
        return [key in known for key in keys]

    async def aexists(self, keys: Sequence[str]) -> list[bool]:
        """As `exists`."""
        return await run_in_executor(None, self.exists, keys)

    def list_keys(
        self,
        *,
        before: float | None = None,
        after: float | None = None,
        group_ids: Sequence[str] | None = None,
        limit: int | None = None,
    ) -> list[str]:
        """Keys that were last seen before, or after, a time, the oldest first."""
        return self._records.keys(before=before, after=after, groups=group_ids, limit=limit)

    async def alist_keys(
        self,
        *,
        before: float | None = None,
        after: float | None = None,
        group_ids: Sequence[str] | None = None,
        limit: int | None = None,
    ) -> list[str]:
        """As `list_keys`."""
        return await run_in_executor(
            None,
            self.list_keys,
            before=before,
            after=after,
            group_ids=group_ids,
            limit=limit,
        )

    def delete_keys(self, keys: Sequence[str]) -> None:
        """Forget `keys`; unknown ones are ignored."""
        self._records.forget(keys)

    async def adelete_keys(self, keys: Sequence[str]) -> None:
        """As `delete_keys`."""
        await run_in_executor(None, self.delete_keys, keys)
