"""What makes a source the same source at the next look."""

import hashlib


def place_sha256(uri: str, external_id: str) -> str:
    """Hash of where a source is and of its id there."""
    place = f"{len(uri)}:{uri}{external_id}"
    return hashlib.sha256(place.encode("utf-8", "surrogatepass")).hexdigest()


def uri_sha256(uri: str) -> str:
    """Hash of where a resource is."""
    return hashlib.sha256(uri.encode("utf-8", "surrogatepass")).hexdigest()
