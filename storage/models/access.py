"""Tables of who asks: users and their sessions."""

from datetime import datetime

from sqlalchemy import ForeignKey, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from storage.models.base import BigKey, Table


class UserRow(Table):
    """Somebody who asks."""

    __tablename__ = "users"

    user_id: Mapped[int] = mapped_column(BigKey, primary_key=True)
    name: Mapped[str] = mapped_column(String(200), unique=True)
    created_at: Mapped[datetime]


class SessionRow(Table):
    """A conversation of one user, under a name that the user chose."""

    __tablename__ = "sessions"
    __table_args__ = (UniqueConstraint("user_id", "name"),)

    session_id: Mapped[int] = mapped_column(BigKey, primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.user_id"))
    name: Mapped[str] = mapped_column(String(200))
    created_at: Mapped[datetime]
