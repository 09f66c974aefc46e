"""What can go wrong with a source as a whole; see `ingest/errors.py` for the root of the tree.

IngestError
├── DeclarationError    `sync.toml` can't be used as it stands
└── FeedError           a source can't be reached or listed; what is stored of it stays
"""

from ingest.errors import IngestError


class DeclarationError(IngestError):
    """A declaration of sources is unreadable, unknown or contradicts itself."""


class FeedError(IngestError):
    """A source as a whole can't be read: its host, bucket, query or pattern is wrong or away."""
