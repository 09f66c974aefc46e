"""Starts the program `rag`, as `python -m rag_pipeline` does, too."""

import atexit
import gc
import logging
import os

_ALLOCATED_BETWEEN_LOOKS = 200_000
"""Objects, for garbage. Python's 700 are few for a program that imports some hundred thousand."""


def run() -> None:
    """Run the program; 0 done, 1 failed, 2 misuse."""
    # Looking for garbage among what is imported, and again before everything goes, would take a
    # third of a short command's time.
    gc.set_threshold(_ALLOCATED_BETWEEN_LOOKS)
    atexit.register(gc.freeze)
    # Pydantic would read what every installed package has to offer it.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "true")
    from rag_pipeline.cli.main import cli

    logging.basicConfig(format="%(levelname)s: %(message)s", level=logging.WARNING)
    cli()


if __name__ == "__main__":
    run()
