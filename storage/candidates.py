"""What a filter and a permission leave to be searched, remembered for the next search."""

import threading
from collections import OrderedDict
from collections.abc import Hashable

from storage.records import Ids

MAX_ENTRIES = 64
MAX_BYTES = 32 * 2**20


class Candidates:
    """The chunk keys of the last few questions; safe to be used by many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._found: OrderedDict[Hashable, Ids] = OrderedDict()
        self._bytes = 0

    def get(self, key: Hashable) -> Ids | None:
        """What was kept for `key`, read-only, if it is still there."""
        with self._lock:
            found = self._found.get(key)
            if found is not None:
                self._found.move_to_end(key)
            return found

    def keep(self, key: Hashable, ids: Ids) -> None:
        """Remember `ids`, and forget what was not asked for the longest, down to the limits."""
        ids.flags.writeable = False
        with self._lock:
            replaced = self._found.pop(key, None)
            self._bytes += ids.nbytes - (0 if replaced is None else replaced.nbytes)
            self._found[key] = ids
            while len(self._found) > MAX_ENTRIES or (self._bytes > MAX_BYTES and self._found):
                _, forgotten = self._found.popitem(last=False)
                self._bytes -= forgotten.nbytes
