"""Commands one after the other in one Python, for a start costs more than what they do: run by the
Python that has alpr-edge.

    echo '[["alpr-edge", "--version"], ["scripts/provision", "ca", "city"]]' | python run_many.py

Ends with the first that fails. Prints JSON: for each command that ran, its status and what it said.
"""

from __future__ import annotations

import contextlib
import io
import json
import runpy
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]


def main() -> None:
    """Run what standard input names."""
    done: list[tuple[int, str]] = []
    for argv in json.load(sys.stdin):
        said = io.StringIO()
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            status = one(argv)
        done.append((status, said.getvalue()))
        if status:
            break
    print(json.dumps(done))


def one(argv: list[str]) -> int:
    """One command; its exit status."""
    sys.argv = list(argv)
    try:
        if argv[0] == "alpr-edge":
            from alpr_edge.cli import main as command

            return int(command(argv[1:]) or 0)
        runpy.run_path(str(REPOSITORY / argv[0]), run_name="__main__")
    except SystemExit as err:
        return err.code if isinstance(err.code, int) else int(err.code is not None)
    return 0


if __name__ == "__main__":
    main()
