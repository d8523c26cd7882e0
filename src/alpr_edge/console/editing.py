"""Commands that edit the candidate, and the ones that put it in force.

Whatever is typed here, what narrows is decided by `authority`: a commit that protects less takes a
second person's password, code and key, or a record that the city signed; until it is confirmed, old
and new masks protect together, and no time-out, unplugging or power cut changes that.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Final

from alpr_edge.console.armour import armour, unarmour
from alpr_edge.console.candidate import Candidate
from alpr_edge.console.device import KEPT, NOT_HERE, Committed, Preview
from alpr_edge.console.grammar import Mode
from alpr_edge.console.kinds import Place
from alpr_edge.console.looking import zones_document
from alpr_edge.console.second_person import prove
from alpr_edge.console.sitting import NO_FRAME, Does, Sitting
from alpr_edge.console.talk import Ask, Now, Paste, Talk, lay_out, say
from alpr_edge.errors import ConsoleError
from alpr_edge.trust.documents import DocumentType
from alpr_edge.trust.envelope import canonical, read_unverified
from alpr_edge.zone_set import Point

DEFAULT_MINUTES: Final = 10.0


# --- the candidate ---------------------------------------------------------------------------


def begin(sitting: Sitting) -> Candidate:
    """A candidate as what is in force: with all records that are in force together.

    Empty on a bench whose masks are an unsigned file: other settings can be edited there.
    """
    try:
        found = sitting.device.masks()
    except ConsoleError as err:
        if err.code != NOT_HERE:
            raise
        return Candidate.of(None, NO_FRAME)
    return Candidate.of(found.zones, found.frame_px or NO_FRAME)


def _configure(sitting: Sitting, values: dict[str, Any]) -> Talk:
    sitting.candidate, sitting.mode = sitting.candidate or begin(sitting), Mode.CHANGE
    yield say("nothing is in force until commit; ? shows what can be typed")


def _exit(sitting: Sitting, values: dict[str, Any]) -> Talk:
    if sitting.editing is not None:
        sitting.editing = None
        return
    if sitting.draft != begin(sitting):
        answer = yield Ask("the candidate is not committed: keep it for later? yes or no: ")
        if answer.strip().lower() not in ("y", "yes"):
            sitting.candidate = None
    else:
        sitting.candidate = None
    sitting.mode = Mode.LOOK


def _changes(change: Callable[[Sitting, dict[str, Any]], Candidate]) -> Does:
    def does(sitting: Sitting, values: dict[str, Any]) -> Talk:
        sitting.candidate = change(sitting, values)
        yield from ()

    return does


def _points(draft: Candidate, places: Sequence[Place]) -> tuple[Point, ...]:
    try:
        return tuple(place.parts(draft.frame_px) for place in places)
    except ValueError as err:
        width, height = draft.frame_px
        raise ConsoleError(
            str(err), code="console.candidate.outside", hint=f"the frame has {width}x{height}"
        ) from err


def _region(what: str, *, new: bool) -> Does:
    def change(sitting: Sitting, values: dict[str, Any]) -> Candidate:
        draft = sitting.draft
        points = _points(draft, values["points"])
        taints = values.get("taints", "")
        return draft.with_region(what, values["name"], points, new=new, taints=taints)

    return _changes(change)


def _rectangle(sitting: Sitting, values: dict[str, Any]) -> Candidate:
    draft = sitting.draft
    (ax, ay), (bx, by) = _points(draft, (values["corner"], values["opposite"]))
    return draft.with_region(
        "mask", values["name"], ((ax, ay), (bx, ay), (bx, by), (ax, by)), new=True
    )


def _edit(sitting: Sitting, values: dict[str, Any]) -> Talk:
    points = sitting.draft.points("mask", values["name"])
    sitting.editing = values["name"]
    yield say(*(f"{i:3d}  {x:.4g},{y:.4g}" for i, (x, y) in enumerate(points, 1)))


def _on_points(change: Callable[[list[Point], Sitting, dict[str, Any]], None]) -> Does:
    def apply(sitting: Sitting, values: dict[str, Any]) -> Candidate:
        draft, name = sitting.draft, sitting.editing
        if name is None:
            raise ConsoleError(
                "no mask is being edited", code="console.candidate.none", hint="edit mask <mask>"
            )
        points = list(draft.points("mask", name))
        change(points, sitting, values)
        return draft.with_points("mask", name, points)

    return _changes(apply)


def _at(points: list[Point], index: int) -> int:
    if index > len(points):
        raise ConsoleError(
            f"there are {len(points)} points",
            code="console.candidate.unknown",
            hint="show candidate",
        )
    return index - 1


def _add_point(points: list[Point], sitting: Sitting, values: dict[str, Any]) -> None:
    (point,) = _points(sitting.draft, (values["place"],))
    at = _at(points, values["before"]) if "before" in values else len(points)
    points.insert(at, point)


def _move_point(points: list[Point], sitting: Sitting, values: dict[str, Any]) -> None:
    (points[_at(points, values["index"])],) = _points(sitting.draft, (values["place"],))


def _delete_point(points: list[Point], sitting: Sitting, values: dict[str, Any]) -> None:
    del points[_at(points, values["index"])]


def _top(sitting: Sitting, values: dict[str, Any]) -> Talk:
    sitting.editing = None
    yield from ()


def _delete(what: str) -> Does:
    def change(sitting: Sitting, values: dict[str, Any]) -> Candidate:
        if what == "mask" and sitting.editing == values["name"]:
            sitting.editing = None
        return sitting.draft.without(what, values["name"])

    return _changes(change)


def _nudge(what: str) -> Does:
    return _changes(lambda s, v: s.draft.nudged(what, v["name"], v["dx"], v["dy"]))


def _widen(what: str) -> Does:
    return _changes(lambda s, v: s.draft.widened(what, v["name"], v["by"]))


def _discard(sitting: Sitting, values: dict[str, Any]) -> Candidate:
    sitting.editing = None
    return begin(sitting)


def _rollback(sitting: Sitting, values: dict[str, Any]) -> Candidate:
    sitting.editing = None
    return Candidate.of(sitting.device.record_zones(values["number"]), sitting.draft.frame_px)


# --- looking at it ---------------------------------------------------------------------------


def _candidate(sitting: Sitting, values: dict[str, Any]) -> Talk:
    draft = sitting.draft
    shown = {
        "frame": "{}x{}".format(*draft.frame_px),
        "masks": {o.name: _written(o.polygon, len(o.holes)) for o in draft.masks},
        "bands": {o.name: _written(o.polygon, len(o.holes)) for o in draft.bands},
        "gates": {o.name: f"{_written(o.line, 0)} {o.taints.value}" for o in draft.gates},
        "margin": draft.margin,
        "ring": draft.band,
        "whole_frame": draft.whole_frame,
        "nothing_protected": draft.nothing_protected,
        "reference_view": draft.view or "as it is",
    }
    yield say(*lay_out(shown), data=shown)


def _written(points: Sequence[Point], holes: int) -> str:
    text = " ".join(f"{x:.4g},{y:.4g}" for x, y in points)
    return f"{text} and {holes} holes" if holes else text


def _compare(sitting: Sitting, values: dict[str, Any]) -> Talk:
    preview = sitting.device.preview(sitting.draft.zones(), sitting.draft.view)
    yield say(*_told(preview), data=_preview_document(preview))


def _check(sitting: Sitting, values: dict[str, Any]) -> Talk:
    preview = sitting.device.preview(sitting.draft.zones(), sitting.draft.view)
    needs = "takes two people, or the city" if preview.narrowings else "takes one person"
    found = {"sound": True, "commit": needs, **_preview_document(preview)}
    yield say(*lay_out(found), data=found)


def _preview_document(preview: Preview) -> dict[str, Any]:
    return {
        "narrowings": list(preview.narrowings),
        "core_added_px": preview.core_added_px,
        "core_removed_px": preview.core_removed_px,
        "band_added_px": preview.band_added_px,
        "band_removed_px": preview.band_removed_px,
        "core_share": round(preview.core_share, 4),
        "band_share": round(preview.band_share, 4),
    }


def _told(preview: Preview) -> list[str]:
    lines = [
        f"mask:  +{preview.core_added_px} -{preview.core_removed_px} pixels",
        f"taint: +{preview.band_added_px} -{preview.band_removed_px} pixels",
        f"blanked {preview.core_share:.1%} of the frame, tainting {preview.band_share:.1%}",
    ]
    if not preview.narrowings:
        return [*lines, "covers all that is protected now: one person may commit it"]
    lines.append("protects less than now: it takes a second person, or the city's signed order")
    return [*lines, *(f"  - {one}" for one in preview.narrowings)]


# --- putting it in force ---------------------------------------------------------------------


def _commit(sitting: Sitting, values: dict[str, Any]) -> Talk:
    device, people, me = sitting.device, sitting.people, sitting.user
    zones, view = sitting.draft.zones(), sitting.draft.view
    if zones == device.masks().zones and view == KEPT:
        yield say("nothing is changed")
        return
    preview = device.preview(zones, view)
    yield say(*_told(preview))
    reason = values.get("reason") or (yield Ask("reason, for the record: ")).strip()
    second = ""
    if preview.narrowings:
        second = (yield Ask("second person (empty: sign it elsewhere): ")).strip()
        if second == me.name:
            raise ConsoleError(
                "the second person is another one", code="console.commit.same_person", hint=""
            )
    authors = [me.name, second] if second else [me.name]
    payload = device.draft(zones, authors, reason, view)
    password = yield Ask(f"password of {me.name}: ", secret=True)
    envelope = people.sign(me.name, password, payload)
    if preview.narrowings and not second:
        yield say(
            "have this signed by a second person or the city (`alpr-edge masks countersign`),",
            "then paste it at `commit signed`:",
            *armour(envelope),
        )
        return
    if second:
        password = yield Ask(f"password of {second}: ", secret=True)
        code = yield Ask(f"code of {second}: ", secret=True)
        prove(device, people, (second, password, code), needs="commit_record")
        envelope = people.sign(second, password, envelope)
    yield from _put(sitting, envelope, values.get("confirmed", DEFAULT_MINUTES))


def _commit_signed(sitting: Sitting, values: dict[str, Any]) -> Talk:
    text = yield Paste("paste the signed record; an empty line ends it")
    envelope = unarmour(text)
    payload = read_unverified(envelope, DocumentType.MASK_RECORD).payload
    yield say(
        f"record number {payload.get('number')!s:.20} for {payload.get('device')!s:.64}"
        f"/{payload.get('camera')!s:.64}"
    )
    yield from _put(sitting, envelope, values.get("confirmed", DEFAULT_MINUTES))


def _put(sitting: Sitting, envelope: bytes, minutes: float) -> Talk:
    yield Now("putting it in force …")
    done = sitting.device.commit_record(envelope, minutes)
    sitting.editing = None
    if sitting.candidate is not None:
        sitting.candidate = begin(sitting)
    yield say(*_said(done))


def _said(done: Committed) -> list[str]:
    lines = [f"number {done.number}, on the word of: {done.authority.replace('_', ' ')}"]
    lines += [f"  - {one}" for one in done.narrowings]
    if done.confirm_before is None:
        return [*lines, "in force, it alone"]
    return [
        *lines,
        "old and new masks protect together now;",
        f"confirm before {done.confirm_before:%Y-%m-%d %H:%M:%S} UTC, or they stay together",
    ]


def _draft(sitting: Sitting, values: dict[str, Any]) -> Talk:
    zones, me = sitting.draft.zones(), sitting.user
    reason, view = values.get("reason", ""), sitting.draft.view
    payload = sitting.device.draft(zones, [me.name], reason, view)
    yield say(
        "what has to be signed (a mask record's payload):",
        *armour(canonical(payload)),
        data=payload,
    )


def _confirm(sitting: Sitting, values: dict[str, Any]) -> Talk:
    found = sitting.device.confirm_masks()
    if sitting.candidate is not None:
        sitting.candidate = begin(sitting)
    yield say(f"number {found.number} alone is in force")
    if found.reference and found.reference != sitting.device.reference().get("in_use"):
        yield say("its reference view counts from the next start: nothing is read until `reboot`")


def _switch(field: str) -> Does:
    return _changes(lambda s, v: replace(s.draft, **{field: v["state"] == "on"}))


def _set_view(sitting: Sitting, values: dict[str, Any]) -> Candidate:
    view = str(values["view"])
    if view == "taken":
        taken = sitting.device.reference().get("taken")
        if not taken:
            raise ConsoleError(
                "no reference view was taken", code="console.reference.none", hint="reference take"
            )
        view = str(taken["digest"])
    return replace(sitting.draft, view=view)


EDITING: Final[dict[str, Does]] = {
    **{
        f"{verb}_{what}": _region(what, new=verb == "add")
        for what in ("mask", "band", "gate")
        for verb in ("add", "set")
    },
    "add_rectangle": _changes(_rectangle),
    **{f"delete_{what}": _delete(what) for what in ("mask", "band", "gate")},
    **{f"nudge_{what}": _nudge(what) for what in ("mask", "band", "gate")},
    **{f"widen_{what}": _widen(what) for what in ("mask", "band")},
    "edit": _edit,
    "add_point": _on_points(_add_point),
    "move_point": _on_points(_move_point),
    "delete_point": _on_points(_delete_point),
    "top": _top,
    "set_margin": _changes(lambda s, v: replace(s.draft, margin=v["part"])),
    "set_band_width": _changes(lambda s, v: replace(s.draft, band=v["part"])),
    "set_whole_frame": _switch("whole_frame"),
    "set_view": _changes(_set_view),
    "set_nothing": _switch("nothing_protected"),
    "candidate": _candidate,
    "compare": _compare,
    "check": _check,
    "commit": _commit,
    "commit_signed": _commit_signed,
    "draft": _draft,
    "discard": _changes(_discard),
    "rollback": _changes(_rollback),
    "configure": _configure,
    "exit_configure": _exit,
    "confirm": _confirm,
}

__all__ = ["EDITING", "begin", "zones_document"]
