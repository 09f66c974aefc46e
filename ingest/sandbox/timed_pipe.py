"""A pipe whose other end may never read or write again."""

import io
import os
import select
import time
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer


class TimedPipe(io.RawIOBase):
    """Our end of a pipe: waits for the other one until `ends_at`, and then raises TimeoutError."""

    def __init__(self, end: IO[bytes]) -> None:
        """Takes over `end`, which may have no buffer of its own."""
        os.set_blocking(end.fileno(), False)
        self._end = end
        self._poll = select.poll()
        self._poll.register(end, select.POLLIN if end.readable() else select.POLLOUT)
        self.ends_at = 0.0
        """By `time.monotonic`."""

    def readable(self) -> bool:
        """As any stream."""
        return self._end.readable()

    def writable(self) -> bool:
        """As any stream."""
        return self._end.writable()

    def readinto(self, buffer: "WriteableBuffer") -> int:
        """What has come, as soon as anything has; 0 at the end."""
        self._wait()
        return os.readv(self._end.fileno(), [buffer])

    def write(self, content: "ReadableBuffer") -> int:
        """As much of `content` as the pipe takes, as soon as it takes anything."""
        self._wait()
        return os.write(self._end.fileno(), content)

    def close(self) -> None:
        """Close our end."""
        super().close()
        self._end.close()

    def _wait(self) -> None:
        left = self.ends_at - time.monotonic()
        if left <= 0 or not self._poll.poll(left * 1000):
            raise TimeoutError
