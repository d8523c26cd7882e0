"""Writes the table of commands in docs/technician.md from the console's grammar.

`--check` writes nothing and fails if the page is not what the grammar says.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from alpr_edge.console.commands import GRAMMAR
from alpr_edge.console.grammar import FILTERS, Command, Mode

PAGE = Path(__file__).resolve().parents[1] / "docs" / "technician.md"
BEGIN = "<!-- commands: written by scripts/console_commands.py -->\n"
END = "<!-- end of commands -->\n"


def row(command: Command) -> str:
    """One line of the table."""
    usage = command.usage.replace("|", "\\|")
    prompts = " ".join({Mode.LOOK: ">", Mode.CHANGE: "#"}[mode] for mode in sorted(command.modes))
    about = command.help.replace("|", "\\|")
    changes = "yes" if command.changes else ""
    return f"| `{usage}` | `{prompts}` | {command.level.word} | {changes} | {about} |\n"


def table() -> str:
    """All commands, and the filters."""
    head = (
        "| command | prompt | from role | changes the candidate | what it does |\n"
        "| --- | --- | --- | --- | --- |\n"
    )
    filters = "".join(
        f"| `\\| {name}{' <text>' if name in ('match', 'except') else ''}` | {about} |\n"
        for name, about in FILTERS.items()
    )
    rows = "".join(row(one) for one in GRAMMAR.commands)
    return f"{head}{rows}\nAfter any of them:\n\n| filter | |\n| --- | --- |\n{filters}"


def page(text: str) -> str:
    """The page with the table anew."""
    before, found, rest = text.partition(BEGIN)
    _, ends, after = rest.partition(END)
    if not found or not ends:
        raise SystemExit(f"{PAGE} has no place for the table: {BEGIN}{END}")
    return f"{before}{BEGIN}{table()}{END}{after}"


def main() -> int:
    """Write or check."""
    parser = argparse.ArgumentParser(description=__doc__)
    choice = parser.add_mutually_exclusive_group(required=True)
    choice.add_argument("--write", action="store_true", help="write the page")
    choice.add_argument("--check", action="store_true", help="compare only")
    args = parser.parse_args()
    text = PAGE.read_text("utf-8")
    wanted = page(text)
    if args.write:
        PAGE.write_text(wanted, "utf-8")
    elif text != wanted:
        print(f"{PAGE} is not what the grammar says: make fix", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
