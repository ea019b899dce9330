"""Tells who sent a request that a reverse proxy has passed on, by the header of the proxies that are trusted.

A header of anybody else is not believed, as whoever writes it there may be anyone each time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from re import findall

from goodstanding.core.settings import Network, ProxyHeader

Address = IPv4Address | IPv6Address
# A household or a server has a network of this size, and as many addresses as it likes.
OF_ONE_CLIENT = 64
# Stands for a comma in quotes; no header can hold it, and no address.
IN_QUOTES = "\0"


@dataclass(frozen=True)
class Proxies:
    """The trusted proxies, and the one header by which they name who has asked them."""

    networks: tuple[Network, ...] = ()
    header: ProxyHeader = "x-forwarded-for"

    def trust(self, address: str) -> bool:
        """Whether an address is that of a trusted proxy."""
        found = _address(address)
        return found is not None and any(found in network for network in self.networks)

    def client(self, headers: Sequence[tuple[bytes, bytes]]) -> str | None:
        """Who has asked the first of the trusted proxies that a request came through; None: they do not say.

        Args:
            headers: names in small letters, and values.
        """
        lines = [value.decode("latin-1") for name, value in headers if name == self.header.encode()]
        named = _forwarded(",".join(lines)) if self.header == "forwarded" else ",".join(lines).split(",")
        # each proxy adds the one that asked it at the end
        for text in reversed(list(named)):
            if _address(text) is None:
                return None
            if not self.trust(text):
                return peer_of(text)
        return None


def peer_of(address: str) -> str:
    """What is counted as one client: an IPv4 address, or a network of IPv6."""
    found = _address(address)
    if isinstance(found, IPv6Address):
        return str(IPv6Network((found, OF_ONE_CLIENT), strict=False))
    return str(found or address)


def _forwarded(line: str) -> Iterator[str]:
    """The addresses of a header Forwarded (RFC 7239), in their order; empty where an element has none."""
    # quotes are paired from the end, where the proxy wrote; a comma between two of them ends no element
    parts = line.split('"')
    outside = [
        part if (len(parts) - place) % 2 else part.replace(",", IN_QUOTES) for place, part in enumerate(parts)
    ]
    for element in '"'.join(outside).split(","):
        found = findall(r'(?i)(?:^|;)\s*for=("[^"]*"|[^;\s]*)', element.strip())
        yield found[0].strip('"') if len(found) == 1 else ""


def _address(text: str) -> Address | None:
    """An address, also with a port or in brackets; None of what is none."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        found = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return getattr(found, "ipv4_mapped", None) or found
