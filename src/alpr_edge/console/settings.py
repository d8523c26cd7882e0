"""Settings that are edited key by key: the unit's link, and the request for another broker. Pure.

Two kinds, because they differ in what they can do (ADR 0029):

- **Link settings** (address, gateway, name servers) decide whether packets arrive. They are the
  technician's, and in force at once, where the configuration allows it (`console.network_file`)
  and the broker proves who it is (`mqtt.tls`).
- **Signed settings** (where the broker is) decide who gets reads. Here they only become a request:
  the whole configuration with these keys changed, for the city to sign.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Network, IPv6Address, ip_address, ip_interface
from typing import Final

from alpr_edge.config.edit import set_key
from alpr_edge.errors import ConsoleError

DHCP: Final = "dhcp"
_THIS_NETWORK: Final = IPv4Network("0.0.0.0/8")
_NOT_FROM_DHCP: Final = "".join(
    f"\n[{way}]\nUseNTP=no\nUseDomains=no\nUseHostname=no\n" for way in ("DHCPv4", "DHCPv6")
)
_HEAD: Final = "# Written by the console of alpr-edge: set network, commit network.\n"


def address_text(text: str) -> str:
    """An address of one machine, written as usual.

    Raises:
        ValueError: it is none, or one at which no other machine can be.
    """
    if "%" in text:
        raise ValueError("without a scope (%): the link is the unit's own")
    one = ip_address(text)
    if isinstance(one, IPv6Address):
        strange = one.ipv4_mapped is not None
    else:
        strange = one.is_reserved or one in _THIS_NETWORK
    if strange or one.is_loopback or one.is_multicast or one.is_unspecified:
        raise ValueError(f"{one} is no address of a machine in a network")
    return str(one)


def interface_text(text: str) -> str:
    """Address and prefix of the unit, written as usual.

    Raises:
        ValueError: as `address_text`, or it names the network and not a machine in it.
    """
    address, _, prefix = text.partition("/")
    here = ip_interface(f"{address_text(address)}/{prefix}")
    network = here.network
    if network.num_addresses > 2 and (
        here.ip == network.network_address
        or (here.version == 4 and here.ip == network.broadcast_address)
    ):
        raise ValueError(f"{here} is the network, or all of it: no machine in it")
    return str(here)


@dataclass(frozen=True, slots=True)
class LinkSettings:
    """Of one network link.

    Attributes:
        address: `dhcp`, or address and prefix (`10.0.0.5/24`).
        gateway: empty: none.
        dns: name servers.
    """

    address: str = DHCP
    gateway: str = ""
    dns: tuple[str, ...] = ()

    def with_address(self, address: str) -> LinkSettings:
        """Another address; DHCP brings gateway and name servers itself."""
        return LinkSettings() if address == DHCP else replace(self, address=address)

    def check(self) -> None:
        """Refuse what does not fit together.

        Raises:
            ConsoleError: `console.network.invalid`.
        """
        if self.address == DHCP:
            if self.gateway or self.dns:
                raise _invalid("with dhcp, gateway and dns come from the network")
            return
        try:
            here = ip_interface(interface_text(self.address))
            for one in (self.gateway, *self.dns):
                if one:
                    address_text(one)
        except ValueError as err:
            raise _invalid(str(err)) from None
        if self.gateway and ip_address(self.gateway) not in here.network:
            raise _invalid(f"the gateway {self.gateway} is not within {here.network}")
        if self.gateway and ip_address(self.gateway) == here.ip:
            raise _invalid("gateway and address are the same")

    def document(self) -> dict[str, object]:
        """As JSON."""
        return {"address": self.address, "gateway": self.gateway, "dns": list(self.dns)}


def network_file(link: str, settings: LinkSettings) -> str:
    """As systemd-networkd reads it. Source: systemd.network(5).

    No network names a time server (networkd would take it unless it is told not to): masks,
    register and signatures hang on the clock.
    """
    lines = [f"[Match]\nName={link}\n\n[Network]\n"]
    if settings.address == DHCP:
        lines.append(f"DHCP=yes\n{_NOT_FROM_DHCP}")
    else:
        lines.append(f"DHCP=no\nIPv6AcceptRA=no\nAddress={settings.address}\n")
        lines += [f"Gateway={settings.gateway}\n"] if settings.gateway else []
        lines += [f"DNS={one}\n" for one in settings.dns]
    return _HEAD + "".join(lines)


def read_network_file(text: str) -> LinkSettings | None:
    """What `network_file` wrote; None where it did not write it."""
    if not text.startswith(_HEAD):
        return None
    pairs = [line.partition("=")[::2] for line in text.splitlines() if "=" in line]
    values = dict(pairs)
    dns = tuple(value for key, value in pairs if key == "DNS")
    return LinkSettings(values.get("Address", DHCP), values.get("Gateway", ""), dns)


@dataclass(frozen=True, slots=True)
class Settings:
    """What was set and is not in force.

    Attributes:
        link: None: as it is.
        signed: by `table.key`, what the city would have to sign.
    """

    link: LinkSettings | None = None
    signed: Mapping[str, str | int] = field(default_factory=dict)

    @property
    def is_empty(self) -> bool:
        """Nothing was set."""
        return self.link is None and not self.signed


def changed_text(text: str, signed: Mapping[str, str | int]) -> str:
    """The configuration with these keys changed.

    Raises:
        ConfigError: `config.edit`.
    """
    for name, value in signed.items():
        table, _, key = name.rpartition(".")
        text = set_key(text, table, key, value)
    return text


def _invalid(why: str) -> ConsoleError:
    return ConsoleError(why, code="console.network.invalid", hint="show settings")
