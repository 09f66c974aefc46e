"""What can go wrong in storage, as a tree. Every message names the thing and the remedy.

StorageError
├── SchemaError            the database is at another migration
├── SpaceMismatchError     vectors of another embedding space
├── LeaseBusyError         another writer is at work
├── LeaseLostError         this writer was overtaken
├── NotFoundError          missing, or not for this principal: the two look the same
├── InvalidRecordError     a value that the database could not keep faithfully
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


class SealError(StorageError):
    """A sealed file is missing, damaged, cut short or of another kind. Rebuild it."""


class DatabaseUnreachableError(StorageError):
    """The database did not answer."""

    retryable: ClassVar[bool] = True


class DatabaseLostError(DatabaseUnreachableError):
    """The database went away in the middle of a run; what was committed is kept."""
