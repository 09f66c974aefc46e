"""A transport that looks an address up once, judges it, and connects to just that address.

A name that resolves to a public address when it is judged and to a private one when it is used
(DNS rebinding) is so no way in. Proxies of the environment are not used: they resolve names
themselves.
"""

import ipaddress
import socket
from collections.abc import Callable, Iterator

import httpx

from ingest.errors import RefusedError

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolve = Callable[[str, int], list[str]]
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


def resolve(host: str, port: int) -> list[str]:
    """The numeric addresses of `host`, as the system gives them, each once."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def is_public(address: str) -> bool:
    """Whether `address` and any IPv4 address inside it is one of the open internet."""
    return all(
        form.is_global and not form.is_multicast and not form.is_reserved
        for form in _forms(ipaddress.ip_address(address.partition("%")[0]))
    )


def _forms(address: Address) -> Iterator[Address]:
    inner: list[Address | None] = []
    if isinstance(address, ipaddress.IPv6Address):
        inner = [address.ipv4_mapped, address.sixtofour, *(address.teredo or ())]
        if address in _NAT64:
            inner.append(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
    embedded = [form for form in inner if form is not None]
    yield from embedded or [address]


class PinnedTransport(httpx.BaseTransport):
    """HTTP to addresses that were judged; certificates are checked for the host's name."""

    def __init__(self, *, allow_private: bool, resolve: Resolve = resolve) -> None:
        self._allow_private = allow_private
        self._resolve = resolve
        # A connection is kept for one host only: two hosts may share an address.
        self._by_host: dict[tuple[str, str], httpx.HTTPTransport] = {}

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Raise RefusedError for an address that may not be asked, `httpx.TransportError` else."""
        host = request.url.host
        for last, address in _with_last(self._addresses(request.url)):
            pinned = httpx.Request(
                request.method,
                request.url.copy_with(host=address),
                headers=request.headers,
                stream=request.stream,
                extensions={**request.extensions, "sni_hostname": host},
            )
            try:
                return self._transport(host, address).handle_request(pinned)
            except httpx.ConnectError:
                if last:
                    raise
        raise httpx.ConnectError(f"{host} has no address")

    def close(self) -> None:
        for transport in self._by_host.values():
            transport.close()

    def _transport(self, host: str, address: str) -> httpx.HTTPTransport:
        return self._by_host.setdefault((host, address), httpx.HTTPTransport())

    def _addresses(self, url: httpx.URL) -> list[str]:
        try:
            found = self._resolve(url.host, url.port or (443 if url.scheme == "https" else 80))
        except (OSError, UnicodeError) as error:
            raise httpx.ConnectError(f"the host {url.host} is not known") from error
        private = [address for address in found if not is_public(address)]
        if private and not self._allow_private:
            raise RefusedError(
                f"{url.host} is the private address {private[0]}: set allow_private = true if it is"
                " meant"
            )
        return found


def _with_last(addresses: list[str]) -> Iterator[tuple[bool, str]]:
    for position, address in enumerate(addresses, start=1):
        yield position == len(addresses), address
