"""Programs that the bench starts: each ended in any case, each output bounded in time."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hil_tests.bench.verdict import BenchError

REPOSITORY = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Outcome:
    """What a command on bench or unit did."""

    status: int
    text: str

    def checked(self, what: str) -> str:
        """Its text.

        Raises:
            BenchError: `bench.command`: it failed.
        """
        if self.status:
            raise BenchError(
                f"{what} ended with {self.status}: {self.text.strip()[-400:]}",
                code="bench.command",
                hint="the text says why",
            )
        return self.text


def run(
    argv: Sequence[str | Path],
    *,
    timeout_s: float = 120.0,
    cwd: Path | None = None,
    answers: str = "",
) -> Outcome:
    """Run a program to its end; `answers` is its standard input."""
    try:
        done = subprocess.run(
            [str(one) for one in argv],
            input=answers.encode(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=timeout_s,
            cwd=cwd,
            check=False,
        )
    except subprocess.TimeoutExpired as err:
        return Outcome(124, (err.stdout or b"").decode("utf-8", "replace"))
    except OSError as err:
        return Outcome(127, str(err))
    return Outcome(done.returncode, done.stdout.decode("utf-8", "replace"))


def device_python() -> Path:
    """The Python that has alpr-edge: of `ALPR_EDGE_PYTHON`, or of `make setup`.

    Raises:
        BenchError: `bench.setup`: there is none.
    """
    named = os.environ.get("ALPR_EDGE_PYTHON")
    python = Path(named) if named else REPOSITORY / ".venv" / "bin" / "python"
    if not python.exists():
        raise BenchError(f"no {python}", code="bench.setup", hint="`make setup`")
    return python


def alpr_edge(*arguments: str | Path, timeout_s: float = 120.0) -> str:
    """What the command of this checkout prints.

    Raises:
        BenchError: it failed.
    """
    done = run([device_python(), "-m", "alpr_edge", *arguments], timeout_s=timeout_s)
    return done.checked(f"alpr-edge {' '.join(map(str, arguments[:2]))}")


def run_many(commands: Sequence[Sequence[str | Path]], *, timeout_s: float = 300.0) -> list[str]:
    """What each of these says, run one after the other in one start of Python (`run_many.py`).

    Args:
        commands: beginning with `alpr-edge` or with a script's path below the repository.

    Raises:
        BenchError: `bench.command`: one failed.
    """
    wanted = [[str(word) for word in one] for one in commands]
    script = REPOSITORY / "hil_tests" / "bench" / "run_many.py"
    said = run([device_python(), script], timeout_s=timeout_s, answers=json.dumps(wanted))
    last = said.checked("run_many.py").strip().splitlines()[-1:]
    done = [Outcome(*one) for one in json.loads(last[0] if last else "[]")]
    for outcome, command in zip(done, wanted, strict=False):
        outcome.checked(" ".join(command[:3]))
    return [outcome.text for outcome in done]


def program(name: str, package: str) -> str:
    """The path of one of Debian's programs.

    Raises:
        BenchError: `bench.setup`: it is not installed.
    """
    path = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    if path is None:
        raise BenchError(f"no {name}", code="bench.setup", hint=f"apt-get install {package}")
    return path
