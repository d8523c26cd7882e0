"""Commands that make the unit do something, and the terminal's own."""

from __future__ import annotations

from typing import Any, Final

from alpr_edge.console.armour import unarmour
from alpr_edge.console.device import LEAST_REASON, Parcel
from alpr_edge.console.second_person import prove
from alpr_edge.console.sitting import Does, Sitting
from alpr_edge.console.talk import Ask, Now, Paste, Talk, clean, lay_out, say
from alpr_edge.errors import ConfigError, ConsoleError
from alpr_edge.placement.session import AnswerRefused, CalibrationSession

_YES: Final = "yes"


def _self_test(sitting: Sitting, values: dict[str, Any]) -> Talk:
    yield Now("asking for a self-test …")
    found = sitting.device.run_self_test()
    yield say(*lay_out(found), data=found)


def _take_reference(sitting: Sitting, values: dict[str, Any]) -> Talk:
    answer = yield Ask("by day, masks final, nobody before the lens? type yes: ")
    if answer.strip() != _YES:
        yield say("left as it is")
        return
    found = sitting.device.take_reference(values.get("seconds", 60.0))
    yield say(
        *lay_out(found),
        "`show reference` tells how it goes. It counts for nothing until masks name it:",
        "configure, set reference taken, commit with a second person, confirm, reboot.",
        data=found,
    )


def _calibrate(sitting: Sitting, values: dict[str, Any]) -> Talk:
    session = CalibrationSession()
    yield say("`back` takes the last answer back, `?` explains, `stop` leaves; +- stands for ±")
    while (question := session.question) is not None:
        given = f" [{question.default}]" if question.default else ""
        answer = (yield Ask(f"{question.text}{given}: ")).strip()
        if answer == "stop":
            yield say("left; nothing is kept")
            return
        if answer == "back":
            session = session.back()
        elif answer == "?":
            yield say(question.help, f"such as: {question.example}")
        else:
            try:
                session = session.answer(answer)
            except AnswerRefused as err:
                yield say(str(err))
    yield Now("fitting …")
    try:
        found = sitting.device.save_calibration(session.answers)
    except ConfigError as err:
        yield say(*str(err).splitlines())
        return
    yield say(*lay_out(found), data=found)


def _reads(sitting: Sitting, values: dict[str, Any]) -> Talk:
    reason = (yield Ask("reason, for the ledger: ")).strip()
    if len(reason) < LEAST_REASON:
        raise ConsoleError(
            "no reads without a reason",
            code="console.reason",
            hint=f"say why in {LEAST_REASON} letters or more; it goes to the ledger",
        )
    count, who = values.get("count", 10), sitting.user.name
    found = sitting.device.reads(count, reason=reason, who=who)
    lines = [
        clean(f"{one['captured_at']}  {one['plate']}  {float(one['confidence']):.2f}")
        for one in found
    ]
    yield say(*(lines or ["no read waits here"]), data=found)


def _load_configuration(sitting: Sitting, values: dict[str, Any]) -> Talk:
    data = unarmour((yield Paste("paste what `base64 device.toml` prints; an empty line ends it")))
    signature = unarmour((yield Paste("and what `base64 device.toml.sig` prints")))
    reason = (yield Ask("reason, for the ledger: ")).strip()
    who = sitting.user.name
    found = sitting.device.push(Parcel.CONFIG, data, signature, who=who, reason=reason)
    yield say(*lay_out(found), data=found)


def _update(sitting: Sitting, values: dict[str, Any]) -> Talk:
    software = str(sitting.device.about().get("software", ""))
    yield say(
        f"It runs {clean(software)}.",
        "`receive update size N` keeps an update that the city signed; it is not installed here:",
        "flash the module anew, or install the package and start the service again.",
        data={"software": software, "installs": False},
    )


def _reboot(sitting: Sitting, values: dict[str, Any]) -> Talk:
    if (yield Ask("switch the unit off and on? type yes: ")).strip() != _YES:
        yield say("left running")
        return
    found = sitting.device.reboot()
    yield say(*lay_out(found), data=found)


def _factory_reset(sitting: Sitting, values: dict[str, Any]) -> Talk:
    me = sitting.user
    unit = str(sitting.device.about().get("unit", ""))
    yield say(
        "This erases the unit's key, all users with their keys, and all reads that wait here.",
        "Masks stay, but count no more: nothing is read until the unit is set up again.",
    )
    if (yield Ask(f"type the unit's name ({clean(unit)}) to go on: ")).strip() != unit:
        yield say("left as it is")
        return
    password = yield Ask(f"password of {me.name}: ", secret=True)
    code = yield Ask("code: ", secret=True)
    prove(sitting.device, sitting.people, (me.name, password, code), needs="factory_reset")
    found = sitting.device.factory_reset(me.name)
    sitting.ended = True
    yield say(*lay_out(found), data=found)


# --- the terminal ----------------------------------------------------------------------------


def _typed(sitting: Sitting, values: dict[str, Any]) -> Talk:
    yield say(*(f"{i:4d}  {line}" for i, line in enumerate(sitting.typed, 1)), data=sitting.typed)


def _dumb(sitting: Sitting, values: dict[str, Any]) -> Talk:
    sitting.screen.dumb, sitting.screen.length = True, 0
    yield from ()


def _full(sitting: Sitting, values: dict[str, Any]) -> Talk:
    sitting.screen.dumb, sitting.screen.length = False, 24
    yield from ()


def _length(sitting: Sitting, values: dict[str, Any]) -> Talk:
    sitting.screen.length = values["lines"]
    yield from ()


def _width(sitting: Sitting, values: dict[str, Any]) -> Talk:
    sitting.screen.width = values["columns"]
    yield from ()


def _logout(sitting: Sitting, values: dict[str, Any]) -> Talk:
    sitting.ended = True
    yield from ()


ACTING: Final[dict[str, Does]] = {
    "run_self_test": _self_test,
    "take_reference": _take_reference,
    "calibrate": _calibrate,
    "reads": _reads,
    "load_configuration": _load_configuration,
    "update": _update,
    "reboot": _reboot,
    "factory_reset": _factory_reset,
    "typed": _typed,
    "terminal_dumb": _dumb,
    "terminal_full": _full,
    "terminal_length": _length,
    "terminal_width": _width,
    "logout": _logout,
}
