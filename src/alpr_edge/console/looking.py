"""Commands that look. They change nothing, and none of them shows a read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from alpr_edge.config.mask_file import format_masks
from alpr_edge.console.device import Document, MasksInForce
from alpr_edge.console.drawing import draw_letters
from alpr_edge.console.sitting import NO_FRAME, Does, Sitting
from alpr_edge.console.talk import Talk, clean, lay_out, say
from alpr_edge.trust.checks import format_time
from alpr_edge.zone_set import ZoneSet


def _document(method: Callable[[Sitting], Document]) -> Does:
    def does(sitting: Sitting, values: dict[str, Any]) -> Talk:
        found = method(sitting)
        yield say(*lay_out(found), data=found)

    return does


def masks_document(found: MasksInForce) -> Document:
    """What is in force, as JSON."""
    zones = found.zones
    return {
        "protects": "everything: nothing is read" if zones is None else "the masks below",
        "number": found.number,
        "digest": found.digest,
        "frame": None if found.frame_px is None else "{}x{}".format(*found.frame_px),
        "records_together": found.records,
        "confirm_before": found.confirm_before and format_time(found.confirm_before),
        "trouble": found.trouble,
        **({} if zones is None else zones_document(zones)),
    }


def zones_document(zones: ZoneSet) -> Document:
    """A zone set as JSON: names and points to four places."""

    def points(ring: Any) -> str:
        return " ".join(f"{x:.4g},{y:.4g}" for x, y in ring)

    return {
        "masks": {one.name: points(one.polygon) for one in zones.masks},
        "bands": {one.name: points(one.polygon) for one in zones.bands},
        "gates": {one.name: f"{points(one.line)} {one.taints.value}" for one in zones.gates},
        "margin": zones.margin,
        "ring": zones.band,
        "whole_frame": zones.whole_frame,
        "nothing_protected": zones.nothing_protected,
    }


def _masks(sitting: Sitting, values: dict[str, Any]) -> Talk:
    found = sitting.device.masks()
    document = masks_document(found)
    data = {**document, "zones": found.zones and format_masks(found.zones)}
    yield say(*lay_out(document), data=data)


def _drawing(sitting: Sitting, values: dict[str, Any]) -> Talk:
    columns = values.get("columns", min(100, sitting.screen.width))
    if sitting.candidate is not None and not values.get("in-force"):
        draft = sitting.candidate
        yield say("the candidate:", *draw_letters(draft.zones(), draft.frame_px, columns))
        return
    found = sitting.device.masks()
    yield say("in force:", *draw_letters(found.zones, found.frame_px or NO_FRAME, columns))


def _history(sitting: Sitting, values: dict[str, Any]) -> Talk:
    found = sitting.device.mask_history()
    lines = []
    for one in found:
        words = [str(one[key]) for key in ("valid_from", "digest", "authors", "reason", "mark")]
        words[1] = words[1][:12]
        lines.append(clean("  ".join([f"{one['number']:6d}", *words])).rstrip())
    yield say(*(lines or ["no mask record was ever committed"]), data=found)


def _record(sitting: Sitting, values: dict[str, Any]) -> Talk:
    zones = sitting.device.record_zones(values["number"])
    found = zones_document(zones)
    yield say(*lay_out(found), data={**found, "zones": format_masks(zones)})


def _reference(sitting: Sitting, values: dict[str, Any]) -> Talk:
    columns = min(64, sitting.screen.width) if values.get("drawing") else 0
    found = sitting.device.reference(columns)
    edges = found.pop("edges", None)
    yield say(*lay_out(found), data={**found, "edges": edges} if columns else found)
    if columns:
        yield say(*(edges or ["there is none in use"]))


def _whoami(sitting: Sitting, values: dict[str, Any]) -> Talk:
    user = sitting.user
    since = sitting.people.last_login(user.name).at
    found = {"name": user.name, "role": user.level.word, "since": since, "key": user.key}
    yield say(*lay_out(found), data=found)


def _terminal(sitting: Sitting, values: dict[str, Any]) -> Talk:
    screen = sitting.screen
    found = {
        "width": screen.width,
        "length": screen.length,
        "kind": "dumb" if screen.dumb else "full",
    }
    yield say(*lay_out(found), data=found)


LOOKING: Final[dict[str, Does]] = {
    "about": _document(lambda s: s.device.about()),
    "status": _document(lambda s: s.device.status()),
    "health": _document(lambda s: s.device.health()),
    "masks": _masks,
    "drawing": _drawing,
    "mask_history": _history,
    "record": _record,
    "reference": _reference,
    "calibration": _document(lambda s: s.device.calibration()),
    "premises": _document(lambda s: s.device.premises()),
    "placement": _document(lambda s: s.device.placement()),
    "network": _document(lambda s: s.device.network()),
    "mqtt": _document(lambda s: s.device.mqtt()),
    "certificates": _document(lambda s: s.device.certificates()),
    "models": _document(lambda s: s.device.models()),
    "self_test": _document(lambda s: s.device.self_test()),
    "ledger_head": _document(lambda s: s.device.ledger_head()),
    "whoami": _whoami,
    "show_terminal": _terminal,
}
