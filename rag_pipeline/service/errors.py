"""What can go wrong between a request and the pipeline, as a tree.

RagError
└── ServiceError             a request that can't be served as it is
    ├── UnauthorisedError     no key, or a wrong one, or an address that may not call without
    ├── OverloadedError       more requests than can be worked on; try again later
    ├── TooLargeError         a body beyond the limit
    └── UnsupportedError      a parameter that this service does not offer
"""

from typing import ClassVar

from rag_pipeline.errors import RagError


class ServiceError(RagError):
    """A request can't be served as it is; `param` names the field that is at fault."""

    def __init__(self, message: str, *, param: str | None = None) -> None:
        self.param = param
        super().__init__(message)


class UnauthorisedError(ServiceError):
    """The caller has not shown who it is."""


class OverloadedError(ServiceError):
    """There is more to do than can be done now."""

    retryable: ClassVar[bool] = True

    def __init__(self, message: str, *, retry_after_s: int) -> None:
        self.retry_after_s = retry_after_s
        super().__init__(message)


class TooLargeError(ServiceError):
    """A request has more bytes than are read."""


class UnsupportedError(ServiceError):
    """A parameter is known to others, and not offered here."""
