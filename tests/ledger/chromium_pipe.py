"""Speaks to a real Chromium over its debugging pipe: messages of JSON, each ended by a NUL.

Source: Chromium, `--remote-debugging-pipe`: it reads from descriptor 3 and writes to 4.
"""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from alpr_edge.ledger.browser import FLAGS


class Chromium:
    """One browser with one page."""

    def __init__(self, program: str, profile: Path) -> None:
        low_read, self._write = os.pipe()
        self._read, low_write = os.pipe()
        # Away from the descriptors 3 and 4, which the pipes are to become.
        to_read, to_write = (fcntl.fcntl(one, fcntl.F_DUPFD, 10) for one in (low_read, low_write))
        os.close(low_read)
        os.close(low_write)
        # Python puts the two pipes where Chromium looks for them, and becomes Chromium.
        become = "import os, sys; r, w, *c = sys.argv[1:]; os.dup2(int(r), 3); os.dup2(int(w), 4); "
        become += "os.execv(c[0], c)"
        self._process = subprocess.Popen(
            [
                *(sys.executable, "-c", become, str(to_read), str(to_write), program, *FLAGS),
                *(f"--user-data-dir={profile}", "--remote-debugging-pipe", "--no-startup-window"),
            ],
            pass_fds=(to_read, to_write),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(to_read)
        os.close(to_write)
        self._number, self._left, self.requests = 0, b"", []
        self._session = ""

    def open(self, page: Path) -> None:
        """Load a local page in a new tab and wait until it is there."""
        url = page.resolve().as_uri()
        target = self._call("Target.createTarget", url="about:blank")["targetId"]
        attached = self._call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        self.call("Network.enable")
        self.call("Page.navigate", url=url)
        deadline = time.monotonic() + 30
        while self.evaluate("location.href + document.readyState") != url + "complete":
            assert time.monotonic() < deadline, "the page does not load"
            time.sleep(0.05)

    def evaluate(self, script: str) -> Any:
        found = self.call("Runtime.evaluate", expression=script, returnByValue=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        return self._call(method, self._session, **params)

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._write)
        os.close(self._read)

    def _call(self, method: str, session: str = "", **params: Any) -> dict[str, Any]:
        self._number += 1
        message = {"id": self._number, "method": method, "params": params}
        if session:
            message["sessionId"] = session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while True:
            while b"\0" not in self._left:
                got = os.read(self._read, 1 << 16)
                assert got, "Chromium ended"
                self._left += got
            one, _, self._left = self._left.partition(b"\0")
            answer = json.loads(one)
            if answer.get("method") == "Network.requestWillBeSent":
                self.requests.append(answer["params"]["request"]["url"])
            if answer.get("id") == self._number:
                assert "error" not in answer, answer
                return answer["result"]
