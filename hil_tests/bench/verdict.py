"""Why the bench cannot go on with a unit, in words that a production line understands."""

from __future__ import annotations


class BenchError(Exception):
    """The unit, or the bench itself, is not as it must be.

    Attributes:
        code: stable, such as `bench.silent`.
        hint: what to look at.
    """

    def __init__(self, message: str, *, code: str, hint: str) -> None:
        super().__init__(f"{message} [{code}] ({hint})")
        self.message, self.code, self.hint = message, code, hint


def silent(what: str, waited_s: float) -> BenchError:
    """Nothing came."""
    return BenchError(
        f"nothing came within {waited_s:.0f} s while waiting for {what}",
        code="bench.silent",
        hint="is the unit on, and is the cable in its console port?",
    )


def late(what: str, waited_s: float, seen: str) -> BenchError:
    """Something came, but not what was waited for."""
    return BenchError(
        f"{what} did not come within {waited_s:.0f} s; the last seen was {seen[-60:]!r}",
        code="bench.late",
        hint="the unit is too slow, or is not what the environment says",
    )


def babbling(size: int) -> BenchError:
    """It does not stop talking."""
    return BenchError(
        f"{size} bytes came where a prompt was waited for",
        code="bench.babbling",
        hint="another baud rate, a loose ground, or a program that floods the port",
    )


def died(what: str) -> BenchError:
    """It was there, and is gone."""
    return BenchError(
        f"the unit went away while waiting for {what}",
        code="bench.died",
        hint="look at its power and its cable; then begin anew from off",
    )


def wrong_device(expected: str, seen: str) -> BenchError:
    """Another unit, or no unit of ours."""
    return BenchError(
        f"expected unit {expected}, but the console says {seen!r}",
        code="bench.wrong_device",
        hint="compare the label with the environment file",
    )
