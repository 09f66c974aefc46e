"""What makes a source the same source at the next look, and what tells that it changed."""

import hashlib
import json

from storage.records import NewSource


def place_sha256(uri: str, external_id: str) -> str:
    """What makes a source the same source at the next look: where it is, and its id there."""
    return _sha256(f"{len(uri)}:{uri}{external_id}")


def attributes_sha256(source: NewSource) -> str:
    """Hash of what a source says apart from its bytes."""
    said = [
        source.origin,
        source.generator_id,
        sorted(source.read_labels),
        source.title,
        source.media_type,
        source.metadata,
    ]
    return _sha256(json.dumps(said, sort_keys=True, ensure_ascii=False))


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
