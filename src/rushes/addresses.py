"""What an address says: its origin, whether it is out on the internet, through which proxy it is reached. Pure.

Addresses are read by the transport's own parser, because a second reading might differ, and be used for that.
"""

import ipaddress
from collections.abc import Mapping
from contextlib import suppress

import httpx2

NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


def origin_of(url: str) -> tuple[str, str, int]:
    """Scheme, host and port as the transport will read them: a second reading might differ, and be used for that.

    What cannot be read has no host, and so is nobody's.
    """
    try:
        parts = httpx2.URL(url)
        port = parts.port or (443 if parts.scheme == "https" else 80)
    except httpx2.InvalidURL:
        return "", "", 0
    return (parts.scheme, parts.host, port) if port < 1 << 16 else ("", "", 0)


def is_public(address: str) -> bool:
    """Whether an IP address is out on the internet. Those that carry an IPv4 address count as that one. Pure."""
    found = ipaddress.ip_address(address)
    if isinstance(found, ipaddress.IPv6Address):
        inner = found.ipv4_mapped or found.sixtofour or (found.teredo[1] if found.teredo else None)
        if inner is None and found in NAT64:
            inner = ipaddress.IPv4Address(int(found) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(str(inner))
    return found.is_global and not found.is_multicast


def proxy_for(url: str, environment: Mapping[str, str]) -> str | None:
    """The proxy that HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY ask for. Pure."""

    def read(name: str) -> str | None:
        return environment.get(name.lower()) or environment.get(name.upper()) or None

    scheme, host, port = origin_of(url)
    proxy = read(f"{scheme}_proxy") or read("all_proxy")
    if proxy is None or not host:
        return None
    if any(_excludes(entry, host, port) for entry in (read("no_proxy") or "").split(",")):
        return None
    return proxy if "://" in proxy else f"http://{proxy}"


def _excludes(entry: str, host: str, port: int) -> bool:
    """Whether one entry of NO_PROXY names a host: `*`, a name with all below it, an address, or a network."""
    entry = entry.strip().lower()
    name, _, entry_port = entry.rpartition(":") if entry.count(":") == 1 else (entry, "", "")
    if not name or (entry_port and entry_port != str(port)):
        return False
    with suppress(ValueError):
        return ipaddress.ip_address(host) in ipaddress.ip_network(name.strip("[]"), strict=False)
    name = name.lstrip("*").lstrip(".")
    return not name or host == name or host.endswith(f".{name}")


def redact(url: str) -> str:
    """An address without what may be secret in it: user, password, query."""
    scheme, _, rest = url.partition("://")
    host, slash, path = rest.partition("?")[0].partition("#")[0].partition("/")
    return f"{scheme}://{host.rpartition('@')[2]}{slash}{path}" if host else "(not an address)"
