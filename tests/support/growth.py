"""How the time of some work grows with its size: no test says how long a machine may take."""

import gc
import time
from collections.abc import Callable

TIMES_AS_LARGE = 8
_TRIES = 3


def grows_no_faster_than_its_size(work: Callable[[int], object], size: int) -> bool:
    """Whether `work(size)` takes at most three times as long as an eighth of the size lets expect.

    Work whose time grows with the square of its size would take eight times as long. The least of
    a few tries counts: others use the machine as well.
    """
    small = max(_least_cpu_s(work, size // TIMES_AS_LARGE), 0.001)
    return _least_cpu_s(work, size) < 3 * TIMES_AS_LARGE * small


def _least_cpu_s(work: Callable[[int], object], size: int) -> float:
    taken = []
    # Of a process that holds much already, most of the time would be looking through it.
    gc.disable()
    try:
        for _ in range(_TRIES):
            begun = time.thread_time()
            work(size)
            taken.append(time.thread_time() - begun)
    finally:
        gc.enable()
    return min(taken)
