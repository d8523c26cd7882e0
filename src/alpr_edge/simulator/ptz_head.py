"""A pan-tilt head that speaks ONVIF over real HTTP, for tests: `GetStatus` as its WSDL has it.

Does: answers GetStatus with a position that is set, checks the password digest where there is one,
and can be told to move, to fail, to answer nonsense or slowly.
Does not: speak any other operation (it answers with a fault), or TLS.
"""

from __future__ import annotations

import base64
import hashlib
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any
from xml.etree import ElementTree as ET

from alpr_edge.capture.ptz import GENERIC, PTZ, SCHEMA, SOAP


@dataclass
class HeadState:
    """What the head does next; change it while it runs.

    Attributes:
        x, y: position in `space`.
        move: IDLE, MOVING or UNKNOWN; None leaves it out, which the standard allows.
        raw: answered instead of a position.
        silent: takes the question and never answers.
    """

    x: float = 0.0
    y: float = 0.0
    space: str = GENERIC
    move: str | None = "IDLE"
    error: str | None = None
    raw: bytes | None = None
    silent: bool = False
    username: str | None = None
    password: str = ""
    asked: int = 0
    ended: threading.Event = field(default_factory=threading.Event)


class PtzHead:
    """The head's server on a free port of 127.0.0.1, while it is entered."""

    def __init__(self, state: HeadState | None = None, profile: str = "main") -> None:
        self.state = state or HeadState()
        self.profile = profile
        head = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                head._serve(self)

            def log_message(self, *_: Any) -> None:
                """Says nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = False
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
        )

    @property
    def url(self) -> str:
        """Of the PTZ service."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/onvif/ptz_service"

    def __enter__(self) -> PtzHead:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.state.ended.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _serve(self, request: BaseHTTPRequestHandler) -> None:
        data = request.rfile.read(int(request.headers.get("Content-Length", "0")))
        self.state.asked += 1
        if self.state.silent:
            self.state.ended.wait(30)
            return
        status, body = self._answer(data)
        try:
            request.send_response(status)
            request.send_header("Content-Type", "application/soap+xml; charset=utf-8")
            request.send_header("Content-Length", str(len(body)))
            request.end_headers()
            request.wfile.write(body)
        except OSError:
            request.close_connection = True

    def _answer(self, data: bytes) -> tuple[int, bytes]:
        state = self.state
        if state.raw is not None:
            return 200, state.raw
        root = ET.fromstring(data)
        asked = root.find(f"{{{SOAP}}}Body/{{{PTZ}}}GetStatus/{{{PTZ}}}ProfileToken")
        if asked is None:
            return 400, _fault("ter:ActionNotSupported")
        if state.username is not None and not self._knows(root):
            return 400, _fault("ter:NotAuthorized")
        if asked.text != self.profile:
            return 400, _fault("ter:NoProfile")
        move = "" if state.move is None else (
            f"<tt:MoveStatus><tt:PanTilt>{state.move}</tt:PanTilt></tt:MoveStatus>"
        )  # fmt: skip
        error = "" if state.error is None else f"<tt:Error>{state.error}</tt:Error>"
        body = (
            f'<tptz:GetStatusResponse xmlns:tptz="{PTZ}" xmlns:tt="{SCHEMA}"><tptz:PTZStatus>'
            f'<tt:Position><tt:PanTilt x="{state.x}" y="{state.y}" space="{state.space}"/>'
            f'<tt:Zoom x="0"/></tt:Position>{move}{error}'
            "<tt:UtcTime>2026-11-24T08:00:00Z</tt:UtcTime>"
            "</tptz:PTZStatus></tptz:GetStatusResponse>"
        )
        return 200, _envelope(body)

    def _knows(self, root: ET.Element) -> bool:
        """Whether the password digest is right."""
        texts = {one.tag.rpartition("}")[2]: one.text or "" for one in root.iter()}
        try:
            nonce = base64.b64decode(texts["Nonce"], validate=True)
            made = nonce + texts["Created"].encode() + self.state.password.encode()
        except (KeyError, ValueError):
            return False
        digest = hashlib.sha1(made, usedforsecurity=False).digest()
        right = base64.b64encode(digest).decode() == texts.get("Password")
        return right and texts.get("Username") == self.state.username


def _envelope(body: str) -> bytes:
    head = '<?xml version="1.0" encoding="utf-8"?>'
    text = f'{head}<s:Envelope xmlns:s="{SOAP}"><s:Body>{body}</s:Body></s:Envelope>'
    return text.encode()


def _fault(code: str) -> bytes:
    reason = '<s:Reason><s:Text xml:lang="en">refused</s:Text></s:Reason>'
    return _envelope(
        f"<s:Fault><s:Code><s:Value>s:Sender</s:Value><s:Subcode><s:Value>{code}</s:Value>"
        f"</s:Subcode></s:Code>{reason}</s:Fault>"
    )
