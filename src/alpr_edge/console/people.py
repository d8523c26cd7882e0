"""Coming in, and commands about users."""

from __future__ import annotations

import contextlib
from typing import Any, Final

from alpr_edge.console.access import Level, User
from alpr_edge.console.kinds import USER
from alpr_edge.console.seat import Enrolment, SetUpNeeded
from alpr_edge.console.sitting import Does, Sitting
from alpr_edge.console.talk import Ask, Talk, clean, lay_out, say
from alpr_edge.errors import AlprEdgeError, ConsoleError


def enter(sitting: Sitting) -> Talk:
    """Log in; the sitting's seat is taken afterwards, or a `ConsoleError` says why not."""
    if sitting.people.is_new:
        yield from _first_user(sitting)
        return
    name = (yield Ask("login: ")).strip()
    if not name:
        return
    password = yield Ask("password: ", secret=True)
    code = (yield Ask("code: ", secret=True)).strip()
    try:
        user = sitting.seat.enter(name, password, code)
    except SetUpNeeded:
        yield say("", f"Welcome, {name}. Before the first use: a password, a second factor, a key.")
        user = yield from _set_up(sitting, name, password)
    except ConsoleError as err:
        locked = err.code == "console.login.locked"
        _note(sitting, name, "locked" if locked else "refused", err.code)
        raise
    yield from _greet(sitting, user)


def _greet(sitting: Sitting, user: User) -> Talk:
    _note(sitting, user.name, "granted")
    last = sitting.people.last_login(user.name)
    sitting.people.note_seen(user.name)
    since = f"last login {last.at}" if last.at else "first login"
    failures = f", {last.failures} failed attempts since" if last.failures else ""
    yield say("", f"{user.name}, {user.level.word}: {since}{failures}")


def _note(sitting: Sitting, name: str, outcome: str, code: str = "") -> None:
    """On the ledger; a ledger that cannot be written keeps nobody out who could repair it."""
    with contextlib.suppress(AlprEdgeError):
        sitting.device.note_login(name, outcome, 2 if outcome == "granted" else 0, code)


def _first_user(sitting: Sitting) -> Talk:
    yield say("This unit has no user yet.")
    if not sitting.people.is_secret_shown:
        # Not to a line that nobody looks at: somebody has to be there who presses a key.
        yield Ask("press Enter to set it up: ")
    secret, fresh = sitting.people.first_secret()
    if fresh:
        yield say(
            f"First-boot secret of this unit: {secret}",
            "It is shown here this once; keep it, or read it from the label.",
        )
    typed = yield Ask("first-boot secret: ", secret=True)
    if not typed.strip():
        return
    sitting.people.check_first_secret(typed)
    name = (yield Ask("name of the first supervisor: ")).strip()
    try:
        USER.parse(name)
    except ValueError as err:
        raise ConsoleError(
            f"no name: {err}", code="console.users.name", hint="such as anna"
        ) from err
    if not sitting.people.is_new:
        yield say("Somebody else was faster: this unit has its first user.")
        return
    # It counts from the set-up on: whatever breaks that off, this begins anew, and drops it.
    first = sitting.people.add(name, Level.SUPERVISOR)
    user = yield from _set_up(sitting, name, first)
    yield from _greet(sitting, user)


def _set_up(sitting: Sitting, name: str, first: str) -> Any:
    password = yield from _new_password(sitting, name)
    enrolment = yield from _enrol(sitting, name)
    for left in (2, 1, 0):
        code = yield Ask("code that the app shows now: ")
        try:
            user = sitting.people.set_up(name, password, enrolment, code, first=first)
            break
        except ConsoleError as err:
            if err.code != "console.login.code" or not left:
                raise
            yield say(str(err))
    else:
        raise AssertionError("unreachable")
    yield say(
        "",
        f"Your key on this unit: {user.key}",
        "The city puts it on its list of persons; until then you cannot sign masks here.",
    )
    return sitting.seat.admit(user)


def _new_password(sitting: Sitting, name: str) -> Any:
    while True:
        password = yield Ask("new password (12 letters or more): ", secret=True)
        try:
            sitting.people.check_password(password, name)
        except ConsoleError as err:
            yield say(str(err))
            continue
        if (yield Ask("once more: ", secret=True)) == password:
            return password
        yield say("they differ")


def _enrol(sitting: Sitting, name: str) -> Any:
    unit = str(sitting.device.about().get("unit", "unit"))
    enrolment: Enrolment = sitting.people.enrolment(name, unit)
    yield say(
        "",
        "Second factor: scan this with an authenticator app (Ctrl-C and again: a new one).",
        *enrolment.qr,
        f"or type it in: {enrolment.totp}",
        "",
        "Recovery codes, each good once, for when the unit's clock is wrong. Write them down:",
        *(f"  {one}" for one in enrolment.recovery),
        "",
    )
    return enrolment


# --- commands --------------------------------------------------------------------------------


def _users(sitting: Sitting, values: dict[str, Any]) -> Talk:
    found = sitting.people.users()
    yield say(*lay_out(found), data=found)


def _add(sitting: Sitting, values: dict[str, Any]) -> Talk:
    password = sitting.people.add(values["user"], values["level"])
    yield say(f"password of {values['user']} for the first login: {password}")


def _reset(sitting: Sitting, values: dict[str, Any]) -> Talk:
    name = values["user"]
    if (yield Ask(f"{clean(name)} loses second factor and key: type yes: ")).strip() != "yes":
        yield say("left as it is")
        return
    yield say(f"password of {name} for the first login: {sitting.people.reset(name)}")


def _delete(sitting: Sitting, values: dict[str, Any]) -> Talk:
    name = values["user"]
    if name == sitting.user.name:
        raise ConsoleError(
            "nobody takes themself away", code="console.users.self", hint="another supervisor can"
        )
    sitting.people.delete(name)
    yield say(f"{name} is gone")


def _password(sitting: Sitting, values: dict[str, Any]) -> Talk:
    name = sitting.user.name
    old = yield Ask("password now: ", secret=True)
    new = yield from _new_password(sitting, name)
    sitting.people.set_password(name, old, new)
    yield say("changed")


def _second_factor(sitting: Sitting, values: dict[str, Any]) -> Talk:
    name = sitting.user.name
    password = yield Ask("password: ", secret=True)
    code = yield Ask("code of the old one, or a recovery code: ", secret=True)
    sitting.people.login(name, password, code)
    enrolment = yield from _enrol(sitting, name)
    code = yield Ask("code that the app shows now: ")
    sitting.people.set_second_factor(name, enrolment, code)
    yield say("changed; the old one counts no more")


PEOPLE: Final[dict[str, Does]] = {
    "users": _users,
    "user_add": _add,
    "user_reset": _reset,
    "user_delete": _delete,
    "password": _password,
    "second_factor": _second_factor,
}
