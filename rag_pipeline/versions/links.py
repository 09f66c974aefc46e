"""What a link leads to: a file on a web server, or a model of an MLflow server.

A link is only followed where somebody registers, activates or uses a version behind it, and what
it gives is used only if its SHA-256 is the recorded one.
"""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from rag_pipeline.weights.errors import WeightsMissingError

MLFLOW = "mlflow+"
_TIMEOUT_S = 60


@contextmanager
def fetched(link: str) -> Iterator[Path]:
    """What `link` leads to, as a file or folder that is there as long as this is entered.

    Raises `WeightsMissingError` where there is nothing, `RegistryError` without MLflow's client.
    """
    with tempfile.TemporaryDirectory(prefix="rag-link-") as folder:
        if link.startswith(MLFLOW):
            from rag_pipeline.versions.mlflow import download

            yield download(link, Path(folder))
        elif urlsplit(link).scheme in ("http", "https"):
            yield _download(link, Path(folder))
        else:
            raise WeightsMissingError(
                f"The link {link[:120]!r} can't be followed: give https://…/model.gguf, or"
                f" {MLFLOW}https://server#models:/name/1."
            )


def _download(link: str, folder: Path) -> Path:
    # Imported here: who only reads the list of versions does without.
    import httpx

    to = folder / (PurePosixPath(unquote(urlsplit(link).path)).name or "model")
    try:
        with (
            httpx.stream("GET", link, timeout=_TIMEOUT_S, follow_redirects=True) as response,
            to.open("xb") as file,
        ):
            response.raise_for_status()
            for block in response.iter_bytes():
                file.write(block)
    except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
        raise WeightsMissingError(
            f"The model behind {link} can't be fetched ({error}): check the link and the network,"
            " or activate another version."
        ) from error
    return to
