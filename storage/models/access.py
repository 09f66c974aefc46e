"""Tables of who asks: users and their sessions."""

from datetime import datetime

from sqlalchemy import ForeignKey, String, UniqueConstraint

from storage.models.base import BigKey, Column, Table, UtcDateTime


class UserRow(Table):
    """Somebody who asks."""

    __tablename__ = "users"

    user_id: Column[int] = Column(BigKey, primary_key=True)
    name: Column[str] = Column(String(200), unique=True)
    created_at: Column[datetime] = Column(UtcDateTime)


class SessionRow(Table):
    """A conversation of one user, under a name that the user chose."""

    __tablename__ = "sessions"
    __table_args__ = (UniqueConstraint("user_id", "name"),)

    session_id: Column[int] = Column(BigKey, primary_key=True)
    user_id: Column[int] = Column(BigKey, ForeignKey("users.user_id"))
    name: Column[str] = Column(String(200))
    created_at: Column[datetime] = Column(UtcDateTime)
