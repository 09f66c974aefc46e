"""What can go wrong between a request and the pipeline, as a tree.

RagError
└── ServiceError             a request that can't be served as it is
    ├── UnauthorisedError     no key, or a wrong one, or an address that may not call without
    ├── ForbiddenError        a change that this caller may not make
    ├── OverloadedError       more requests than can be worked on; try again later
    ├── TooLargeError         a body beyond the limit
    ├── UnsupportedError      a parameter that this service does not offer
    ├── TooLongError          more text than is read at once
    ├── UnknownModelError     no collection answers under that name
    ├── UnknownResponseError  no earlier response has that id
    ├── AnswerTimeoutError    an answer that took too long was given up
    ├── ClientGoneError       whoever asked has hung up
    └── ListeningError        an address that can't be listened on
"""

from typing import ClassVar

from rag_pipeline.errors import RagError


class ServiceError(RagError):
    """A request can't be served as it is; `param` names the field that is at fault."""

    code: ClassVar[str | None] = None
    """What programs know it by; None: what its status is known by."""

    def __init__(self, message: str, *, param: str | None = None) -> None:
        self.param = param
        super().__init__(message)


class UnauthorisedError(ServiceError):
    """The caller has not shown who it is."""


class ForbiddenError(ServiceError):
    """The caller may read, and not change this."""


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

    code: ClassVar[str | None] = "unsupported_parameter"


class TooLongError(ServiceError):
    """A text has more characters or tokens than are read at once."""

    code: ClassVar[str | None] = "context_length_exceeded"


class UnknownModelError(ServiceError):
    """No model has that name, or none for this caller."""

    code: ClassVar[str | None] = "model_not_found"


class UnknownResponseError(ServiceError):
    """No response has the id that another is to follow, or none for this caller."""

    code: ClassVar[str | None] = "previous_response_not_found"


class AnswerTimeoutError(ServiceError):
    """An answer was not finished in time; its record says that it was cancelled."""

    code: ClassVar[str | None] = "timeout"
    retryable: ClassVar[bool] = True


class ClientGoneError(ServiceError):
    """Whoever asked does not wait for the answer any more."""


class ListeningError(ServiceError):
    """The address is taken, or none of this machine's."""
