"""Goes on with a run whose database went away in its middle, once it is back.

What was committed is found unchanged the second time, so a run is resumed by doing it again.
"""

import logging
import time
from collections.abc import Callable

from ingest.report import IngestReport
from storage.errors import DatabaseLostError, DatabaseUnreachableError, LeaseBusyError

_FIRST_PAUSE_S = 0.5
_LONGEST_PAUSE_S = 10.0

log = logging.getLogger(__name__)


def resumed(run: Callable[[], IngestReport], *, patience_s: float) -> IngestReport:
    """The report of `run`, which is called again when it loses its database.

    A database that can't be reached from the beginning is given no time, one that goes away later
    `patience_s` seconds each time; with none, nothing is tried again. Raises what `run` raises, and
    what it raised last when the time is over.
    """
    try:
        return run()
    except DatabaseLostError as error:
        if not patience_s:
            raise
        lost = error
    while True:
        log.warning("%s; waiting for it, to go on where this run stopped", lost)
        try:
            return _when_back(run, time.monotonic() + patience_s)
        except DatabaseLostError as error:
            lost = error


def _when_back(run: Callable[[], IngestReport], deadline: float) -> IngestReport:
    pause = _FIRST_PAUSE_S
    while True:
        time.sleep(pause)
        try:
            return run()
        except DatabaseLostError:
            raise
        except (DatabaseUnreachableError, LeaseBusyError):
            # The server may still hold the lease of the connection that broke.
            if time.monotonic() + pause > deadline:
                raise
            pause = min(2 * pause, _LONGEST_PAUSE_S)
