"""A unit at the other end of a link: log in, ask, move files. Pure over `Link`."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from typing import Any, Final

from alpr_edge.console.channel.packets import MAX_JSON, Command
from alpr_edge.host.link import Link
from alpr_edge.host.moving import Progress, fetch, send

_LARGE: Final = MAX_JSON // 2


def _ignore(done: int, total: int) -> None:
    """No progress bar."""


@dataclass(frozen=True, slots=True)
class Person:
    """Who is logged in on a unit, and with which role: viewer, technician or supervisor."""

    name: str
    level: str


@dataclass(frozen=True, slots=True)
class Picture:
    """A still.

    Attributes:
        jpeg: the file.
        about: width, height, taken_at, mask_digest, plates_blurred.
    """

    jpeg: bytes
    about: dict[str, Any]


class RemoteUnit:
    """What a technician's program asks a unit. Every method raises `UnitError` or `LinkLost`."""

    def __init__(self, link: Link) -> None:
        self.link = link

    def login(self, name: str, password: str, code: str) -> Person:
        """Log in with password and second factor."""
        body = {"name": name, "password": password, "code": code}
        answer = self.link.ask(Command.LOGIN, body).body
        return Person(str(answer["name"]), str(answer["level"]))

    def logout(self) -> None:
        """Leave the seat."""
        self.link.ask(Command.LOGOUT, {})

    def call(self, what: str, *, auto: bool = False, **args: Any) -> Any:
        """One call of `console.channel.requests`.

        Args:
            auto: asked by a program on its own: does not keep the door open.
        """
        body: dict[str, Any] = {"what": what, **({"auto": True} if auto else {})}
        text = json.dumps(args, separators=(",", ":"), allow_nan=False).encode("ascii")
        if len(text) > _LARGE:
            body["parcel"] = send(self.link, text)
        else:
            body["args"] = args
        return self._value(self.link.ask(Command.CALL, body).body)

    def still(self, width: int = 640, *, progress: Progress = _ignore) -> Picture:
        """The view now: masked on the unit before it leaves."""
        about = self.call("still", width=width)
        return Picture(fetch(self.link, about.pop("parcel"), progress=progress), about)

    def pull(self, what: str, reason: str = "", *, again: str = "") -> dict[str, Any]:
        """Offer of a file of the unit, for `moving.fetch`.

        Args:
            reason: for the unit's ledger.
            again: SHA-256 of what a break cut off: the unit may still have it.
        """
        body = {"what": what, "reason": reason, **({"sha256": again} if again else {})}
        return self.link.ask(Command.OPEN, body).body

    def push(
        self,
        what: str,
        data: bytes,
        signature: bytes = b"",
        reason: str = "",
        *,
        progress: Progress = _ignore,
    ) -> Any:
        """Bring a file and have the unit take it; what the unit says to it."""
        digest = send(self.link, data, progress=progress)
        body = {
            "what": what,
            "sha256": digest,
            "signature": base64.b64encode(signature).decode("ascii"),
            "reason": reason,
        }
        return self._value(self.link.ask(Command.FINISH, body).body)

    def _value(self, body: dict[str, Any]) -> Any:
        if "answer" in body:
            return json.loads(fetch(self.link, body["answer"]))
        return body.get("value")
