"""Who can reach an address, and what has to be configured before others may."""

import ipaddress

from rag_pipeline.errors import SettingsError
from rag_pipeline.service.settings import ServiceSettings


def check_exposure(settings: ServiceSettings, host: str) -> None:
    """Raise `SettingsError` where others could call and nobody has to show a key."""
    if settings.api_key is None and not is_loopback(host):
        raise SettingsError(
            f"{host!r} can be reached from other machines and no key is configured; set"
            " RAG_SERVICE__API_KEY to what callers are to show, or listen on 127.0.0.1"
        )


def is_loopback(host: str) -> bool:
    """Whether `host` is this machine and no other can reach it."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
