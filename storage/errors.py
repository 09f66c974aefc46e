"""What can go wrong in storage, as a tree. Every message names the thing and the remedy.

StorageError
├── SchemaError            the database is at another migration
├── SpaceMismatchError     vectors of another embedding space
├── LeaseBusyError         another writer is at work
├── LeaseLostError         this writer was overtaken
├── NotFoundError          missing, or not for this principal: the two look the same
├── InvalidRecordError     a value that the database could not keep faithfully
├── IdempotencyKeyError    a key under which something else was asked
├── AlreadyAskedError      a key whose answer is still under way
├── FilterError            a filter that says nothing clear about what is stored
├── AsOfError              a point in time that can't be looked back to
├── ErasureError           something that should be erased is still there, or nobody may erase it
├── SealError              an index file that is damaged or of another kind
└── DatabaseUnreachableError
    └── DatabaseLostError  it went away in the middle of a run
"""

from typing import ClassVar


class StorageError(Exception):
    """The root of everything that `storage` raises on purpose."""

    retryable: ClassVar[bool] = False


class SchemaError(StorageError):
    """The database is at a migration that this program does not know or has moved past."""


class SpaceMismatchError(StorageError):
    """A collection holds vectors of one embedding space and was asked to take another."""


class LockBusyError(StorageError):
    """Another process holds a lock on the database."""


class LeaseBusyError(StorageError):
    """Another process is writing to the corpus."""

    retryable: ClassVar[bool] = True


class LeaseLostError(StorageError):
    """Another writer took over; nothing of this transaction was kept."""

    retryable: ClassVar[bool] = True


class NotFoundError(StorageError):
    """There is no such thing, or not for this principal."""


class InvalidRecordError(StorageError):
    """A value can't be stored as it is."""


class IdempotencyKeyError(StorageError):
    """A key stands for one request; this one came with another question."""


class AlreadyAskedError(StorageError):
    """What was asked under this key is still being answered."""

    retryable: ClassVar[bool] = True


class FilterError(StorageError):
    """A filter that can't be understood, or that names what is not there."""

    def __init__(self, message: str, position: int | None = None) -> None:
        """`position` counts characters from 0; None where there is no text to point into."""
        where = "" if position is None else f" (at character {position + 1} of the filter)"
        super().__init__(message + where)
        self.position = position


class AsOfError(StorageError):
    """No generation was served then, or none that is known."""


class ErasureError(StorageError):
    """An erasure is not complete, or is not for this principal to ask for."""


class SealError(StorageError):
    """A sealed file is missing, damaged, cut short or of another kind. Rebuild it."""


class DatabaseUnreachableError(StorageError):
    """The database did not answer."""

    retryable: ClassVar[bool] = True


class DatabaseLostError(DatabaseUnreachableError):
    """The database went away in the middle of a run; what was committed is kept."""
