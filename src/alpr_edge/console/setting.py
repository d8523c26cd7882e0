"""Commands that set network and broker key by key (`settings`, ADR 0029)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final

from alpr_edge.console.armour import armour
from alpr_edge.console.settings import LinkSettings
from alpr_edge.console.sitting import Does, Sitting
from alpr_edge.console.talk import Ask, Now, Talk, lay_out, say
from alpr_edge.errors import ConsoleError


def _link(change: Callable[[LinkSettings, Any], LinkSettings]) -> Does:
    def does(sitting: Sitting, values: dict[str, Any]) -> Talk:
        before = sitting.settings.link or sitting.device.link_settings() or LinkSettings()
        link = change(before, values["value"])
        sitting.settings = replace(sitting.settings, link=link)
        yield from ()

    return does


def _signed(key: str) -> Does:
    def does(sitting: Sitting, values: dict[str, Any]) -> Talk:
        signed = {**sitting.settings.signed, key: values["value"]}
        sitting.device.requested(signed)
        sitting.settings = replace(sitting.settings, signed=signed)
        yield from ()

    return does


def _show(sitting: Sitting, values: dict[str, Any]) -> Talk:
    settings = sitting.settings
    in_force = sitting.device.link_settings()
    found: dict[str, Any] = {
        "network_set_here": in_force and in_force.document(),
        "network_to_commit": settings.link and settings.link.document(),
        "to_be_signed_by_the_city": dict(settings.signed),
    }
    yield say(*lay_out(found), data=found)


def _commit_network(sitting: Sitting, values: dict[str, Any]) -> Talk:
    link = sitting.settings.link
    if link is None:
        raise ConsoleError(
            "no network setting was changed", code="console.settings.none", hint="set network …"
        )
    link.check()
    yield say(*lay_out(link.document()))
    if (yield Ask("set the network so? type yes: ")).strip() != "yes":
        yield say("left as it is")
        return
    yield Now("setting the network …")
    found = sitting.device.set_link(link, who=sitting.user.name)
    sitting.settings = replace(sitting.settings, link=None)
    yield say(*lay_out(found), "test mqtt says whether the broker is reached so", data=found)


def request_of(sitting: Sitting) -> bytes:
    """The configuration with what was set, for the city to sign. It leaves: the ledger is told.

    Raises:
        ConsoleError: `console.settings.none`: nothing was.
    """
    return sitting.device.requested(_changed(sitting), who=sitting.user.name)


def _changed(sitting: Sitting) -> Mapping[str, str | int]:
    signed = sitting.settings.signed
    if not signed:
        raise ConsoleError(
            "no setting was changed that the city signs",
            code="console.settings.none",
            hint="configure, set mqtt host …",
        )
    return signed


def _show_request(sitting: Sitting, values: dict[str, Any]) -> Talk:
    data = request_of(sitting)
    yield say(
        "the configuration as it would be; the city signs it: alpr-edge config sign device.toml",
        *armour(data),
        data={"changed": dict(sitting.settings.signed), "configuration": data.decode()},
    )


def _discard(sitting: Sitting, values: dict[str, Any]) -> Talk:
    sitting.settings = replace(sitting.settings, link=None, signed={})
    yield from ()


def _test(sitting: Sitting, values: dict[str, Any]) -> Talk:
    signed = _changed(sitting) if values.get("requested") else None
    yield Now("reaching the broker …")
    found = sitting.device.test_mqtt(signed, who=sitting.user.name)
    yield say(*lay_out(found), data=found)


SETTING: Final[dict[str, Does]] = {
    "set_network_address": _link(lambda link, value: link.with_address(value)),
    "set_network_gateway": _link(lambda link, value: replace(link, gateway=value)),
    "set_network_dns": _link(lambda link, value: replace(link, dns=tuple(value))),
    "set_mqtt_host": _signed("mqtt.host"),
    "set_mqtt_port": _signed("mqtt.port"),
    "show_settings": _show,
    "commit_network": _commit_network,
    "show_request": _show_request,
    "discard_settings": _discard,
    "test_mqtt": _test,
}
