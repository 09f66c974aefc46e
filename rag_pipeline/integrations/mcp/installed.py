"""Whether the protocol's library is there. It comes with an extra, for not everybody serves it."""

from importlib.util import find_spec

from rag_pipeline.errors import SettingsError


def is_installed() -> bool:
    """Whether this protocol can be served."""
    return find_spec("mcp") is not None


def check_installed() -> None:
    """Raise `SettingsError`, saying how to get it, if it is not there."""
    if not is_installed():
        raise SettingsError(
            "the Model Context Protocol needs a library that is not installed:"
            " run pip install 'rag-pipeline-service[mcp]'"
        )
