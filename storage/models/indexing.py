"""Table of what programs that synchronise a store by keys have written there, and when."""

from sqlalchemy import Double, Index, Text

from storage.models.base import ByteOrdered, Column, Table


class IndexRecordRow(Table):
    """A key that was written or seen again, in the namespace of one program."""

    __tablename__ = "index_records"
    __table_args__ = (
        Index("ix_index_records_time", "namespace", "updated_at"),
        # Of any length: an ordered index of PostgreSQL has room for 2,700 bytes an entry.
        Index("ix_index_records_group", "group_id", info={"postgresql_using": "hash"}),
    )

    namespace: Column[str] = Column(ByteOrdered, primary_key=True)
    key: Column[str] = Column(ByteOrdered, primary_key=True)
    group_id: Column[str | None] = Column(Text)
    """What the document came from; all keys of a group are cleaned up together."""
    updated_at: Column[float] = Column(Double)
    """Seconds since 1970 by the database's clock, never the same as that of an earlier run."""
