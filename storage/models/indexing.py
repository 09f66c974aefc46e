"""Table of what programs that synchronise a store by keys have written there, and when."""

from sqlalchemy import Double, Index, Text
from sqlalchemy.orm import Mapped, mapped_column

from storage.models.base import ByteOrdered, Table


class IndexRecordRow(Table):
    """A key that was written or seen again, in the namespace of one program."""

    __tablename__ = "index_records"
    __table_args__ = (
        Index("ix_index_records_time", "namespace", "updated_at"),
        # Of any length: an ordered index of PostgreSQL has room for 2,700 bytes an entry.
        Index("ix_index_records_group", "group_id", postgresql_using="hash"),
    )

    namespace: Mapped[str] = mapped_column(ByteOrdered, primary_key=True)
    key: Mapped[str] = mapped_column(ByteOrdered, primary_key=True)
    group_id: Mapped[str | None] = mapped_column(Text)
    """What the document came from; all keys of a group are cleaned up together."""
    updated_at: Mapped[float] = mapped_column(Double)
    """Seconds since 1970 by the database's clock, never the same as that of an earlier run."""
