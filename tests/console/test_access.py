from __future__ import annotations

import inspect

import pytest

from alpr_edge.console.access import NEEDS, Level, User, check
from alpr_edge.console.device import DeviceAccess
from alpr_edge.console.seat import IDLE_S, Seat
from alpr_edge.delivery.clocks import SetClocks
from alpr_edge.errors import ConsoleError

ANNA = User("anna", Level.TECHNICIAN)


class Anyone:
    def login(self, name: str, password: str, code: str) -> User:
        if password != "right":
            raise ConsoleError("no", code="console.login.refused")
        return User(name, Level.TECHNICIAN)

    def sign(self, name: str, password: str, envelope: bytes | dict[str, object]) -> bytes:
        raise ConsoleError("no", code="console.login.refused")


def test_every_method_of_the_device_has_a_role() -> None:
    methods = {name for name, _ in inspect.getmembers(DeviceAccess, inspect.isfunction)}
    methods = {name for name in methods if not name.startswith("_")}
    assert methods == set(NEEDS) - {"still.clear", "users"}


@pytest.mark.parametrize("what", sorted(NEEDS))
def test_a_role_gives_what_it_gives_and_nobody_gets_nothing(what: str) -> None:
    with pytest.raises(ConsoleError, match="nobody"):
        check(None, what)
    for level in Level:
        user = User("x", level)
        if level >= NEEDS[what]:
            check(user, what)
        else:
            with pytest.raises(ConsoleError) as told:
                check(user, what)
            assert told.value.code == "console.not_allowed"


def test_whoever_is_idle_unplugs_or_fails_to_log_in_is_out() -> None:
    clocks = SetClocks()
    seat = Seat(Anyone(), clocks)
    assert seat.user is None
    seat.enter("anna", "right", "1")
    clocks.pass_s(IDLE_S - 1)
    seat.touch()
    clocks.pass_s(IDLE_S - 1)
    clocks.wall -= 1e6
    assert seat.user == ANNA
    clocks.pass_s(1)
    assert seat.user is None
    seat.touch()
    assert seat.user is None
    seat.enter("anna", "right", "1")
    with pytest.raises(ConsoleError):
        seat.enter("anna", "wrong", "1")
    assert seat.user is None
    seat.enter("anna", "right", "1")
    seat.leave()
    assert seat.user is None
