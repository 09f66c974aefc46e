"""Searches of one process take turns where they compute in Python.

Threads that run Python at once do not run at once: each hands the interpreter on at every call
into a library, which costs more than what it waits for. In turns, eight threads answer more
queries than one, and the model, which needs no interpreter, embeds the next question meanwhile.
"""

from threading import Lock

TURN = Lock()
"""Held for milliseconds, and never while something else is waited for."""
