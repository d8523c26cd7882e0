"""The console: users, the real unit, and a session on a serial port."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alpr_edge.wiring.guard import make_mask_store
from alpr_edge.wiring.place import site_files
from alpr_edge.wiring.signed_config import CITY_KEYS, SignatureCheck

if TYPE_CHECKING:
    from alpr_edge.config.models import DeviceConfig
    from alpr_edge.console.serial_port import ConsoleRoom, Flow, SerialConsole
    from alpr_edge.console.session import Session
    from alpr_edge.console.unit import Live
    from alpr_edge.delivery.clocks import Clocks
    from alpr_edge.delivery.courier import Courier
    from alpr_edge.ledger.telling import Tells

_log = logging.getLogger(__name__)


def make_console_room(
    config: DeviceConfig,
    check: SignatureCheck,
    *,
    software: str,
    environment: Mapping[str, str],
    tells: Tells | None,
    live: Live,
    config_file: Path | None = None,
) -> ConsoleRoom | None:
    """The console as a room of the service; None where the configuration names no port.

    Raises:
        KeyUnusable: the unit's own key cannot be made or read.
    """
    if config.console.port is None:
        return None
    from alpr_edge.console.serial_port import ConsoleRoom, SerialConsole

    sessions = session_maker(
        config,
        check,
        software=software,
        environment=environment,
        tells=tells,
        live=live,
        config_file=config_file,
    )
    wanted = config.console
    port = os.fspath(config.console.port)
    return ConsoleRoom(SerialConsole(port, sessions, baud=wanted.baud, flow=wanted.flow))


def make_serial_console(
    config: DeviceConfig,
    check: SignatureCheck,
    port: str,
    *,
    baud: int,
    flow: Flow,
    config_file: Path,
    software: str,
    clocks: Clocks | None = None,
) -> SerialConsole:
    """The console in a process of its own, beside the service or without it.

    Raises:
        KeyUnusable: the unit's own key cannot be made or read.
    """
    from alpr_edge.console.serial_port import SerialConsole
    from alpr_edge.ledger.setup import open_reporter

    sessions = session_maker(
        config,
        check,
        software=software,
        environment=os.environ,
        tells=open_reporter(config, "console"),
        config_file=config_file,
        clocks=clocks,
    )
    return SerialConsole(port, sessions, baud=baud, flow=flow)


def session_maker(
    config: DeviceConfig,
    check: SignatureCheck,
    *,
    software: str,
    environment: Mapping[str, str],
    tells: Tells | None,
    config_file: Path | None = None,
    live: Live | None = None,
    clocks: Clocks | None = None,
) -> Callable[[], Session]:
    """What makes a session on the real unit.

    Raises:
        KeyUnusable: the unit's own key cannot be made or read.
    """
    from alpr_edge.console.access import Level
    from alpr_edge.console.accounts import Accounts
    from alpr_edge.console.channel.end import ChannelEnd
    from alpr_edge.console.commands import GRAMMAR
    from alpr_edge.console.grammar import Mode
    from alpr_edge.console.seat import Seat
    from alpr_edge.console.session import Session
    from alpr_edge.console.unit import Place, RealUnit
    from alpr_edge.delivery.clocks import SystemClocks

    clocks = clocks or SystemClocks()
    accounts = Accounts(config.console.folder, clocks)
    keys = CITY_KEYS if check.anchored else config.trust.city_keys
    store = None if config.exclusion.mask_store is None else make_mask_store(config)
    place = Place(
        config_file,
        None if keys is None else Path(keys),
        store,
        software,
        environment,
        site_files(config, check),
    )
    unit = RealUnit(config, place, clocks, tells=tells, accounts=accounts, live=live)

    def defect(err: Exception) -> None:
        # Its text might quote what was typed: only its type is told.
        _log.error("a console command failed", extra={"type": type(err).__name__})

    def make() -> Session:
        seat = Seat(accounts, clocks)
        if live is not None:
            live.view.wanted = lambda: seat.is_taken

        def greet(name: str) -> dict[str, Any]:
            last = accounts.last_login(name)
            accounts.note_seen(name)
            return {"last_login": last.at, "failures": last.failures}

        def words(line: str) -> list[str]:
            level = Level.VIEWER if seat.user is None else seat.user.level
            found = GRAMMAR.following(line, Mode.LOOK, level, lambda _source: ())
            return [one.text for one in found if one.text]

        channel = ChannelEnd(unit, seat, words, greet)
        return Session(unit, accounts, seat, channel=channel, on_defect=defect)

    return make


def waiting_reads(courier: Courier) -> Callable[[int], list[dict[str, Any]]]:
    """The reads that wait, as the console shows them: no more than an event holds."""

    def reads(count: int) -> list[dict[str, Any]]:
        found = []
        for row in courier.waiting(count):
            event = json.loads(row.payload)
            data = event.get("data", event)
            found.append(
                {
                    "id": row.event_id,
                    "captured_at": data.get("first_seen", event.get("time", "")),
                    "plate": data["plate"],
                    "confidence": data["confidence"],
                }
            )
        return found

    return reads
