from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alpr_edge.console.access import NEEDS, Level
from alpr_edge.console.commands import GRAMMAR
from alpr_edge.console.grammar import Arg, Command, Mode, quote, split
from alpr_edge.console.session import DOES
from alpr_edge.errors import ConsoleError

TOP = Level.SUPERVISOR
IDS = [one.usage for one in GRAMMAR.commands]


def no_names(_source: str) -> Sequence[str]:
    return ()


@pytest.mark.parametrize("command", GRAMMAR.commands, ids=IDS)
def test_every_command_is_whole(command: Command) -> None:
    assert command.key in DOES or command.key == "help"
    assert command.help
    assert command.help[0].islower()
    assert len(command.help) <= 80
    for need in command.needs:
        assert NEEDS[need] <= command.level
    for mode in command.modes:
        # Its example parses to itself, in full and with every filter.
        call = GRAMMAR.parse(command.example, mode)
        assert call is not None
        assert call.command == command
        again = GRAMMAR.parse(f'{command.example} | match "a b" | json', mode)
        assert again is not None
        assert [one.name for one in again.filters] == ["match", "json"]
        # Every part of it is offered where it may stand.
        line = ""
        for part in command.parts:
            offered = GRAMMAR.following(line, mode, TOP, no_names)
            if isinstance(part, str):
                assert part in [one.text for one in offered], line
                line += part + " "
            else:
                shapes = [one.shape for one in offered]
                assert part.kind.shape in shapes or part.kind.choices, line
                line += part.kind.example + " "
        offered = [one.text for one in GRAMMAR.following(line, mode, TOP, no_names)]
        for option in command.options:
            assert option.word in offered
        # Roles below do not see it.
        if command.level > Level.VIEWER and isinstance(command.parts[0], str):
            lower = Level(command.level - 1)
            assert command not in GRAMMAR.matching([], mode, lower)


@pytest.mark.parametrize("command", GRAMMAR.commands, ids=IDS)
def test_every_keyword_may_be_cut_short_as_far_as_it_is_clear(command: Command) -> None:
    mode = next(iter(sorted(command.modes)))
    words = [part if isinstance(part, str) else part.kind.example for part in command.parts]
    for at, part in enumerate(command.parts):
        if not isinstance(part, str):
            continue
        for size in range(1, len(part)):
            line = " ".join([*words[:at], part[:size], *words[at + 1 :]])
            try:
                call = GRAMMAR.parse(line, mode)
            except ConsoleError as err:
                if "may be" not in err.message:
                    raise
                continue
            assert call is not None
            exact = any(
                len(o.parts) > at and o.parts[at] == part[:size] and o.parts[:at] == words[:at]
                for o in GRAMMAR.commands
                if mode in o.modes
            )
            assert call.command == command or exact


def test_an_argument_never_stands_where_a_keyword_may() -> None:
    for one in GRAMMAR.commands:
        for other in GRAMMAR.commands:
            if not one.modes & other.modes:
                continue
            for mine, its in zip(one.parts, other.parts, strict=False):
                if mine == its or (isinstance(mine, Arg) and isinstance(its, Arg)):
                    continue
                assert isinstance(mine, str), one.usage
                assert isinstance(its, str), other.usage
                break


def test_what_is_wrong_is_said_with_what_would_be_right() -> None:
    for line, says in (
        ("frobnicate", "possible: "),
        ("show", "incomplete: after 'show' comes"),
        ("show c", "may be calibration, certificates"),
        ("show masks now", "is too much"),
        ('show "masks', "quote is not closed"),
        ("show masks |", "filter is missing"),
        ("show masks | match", "| match <text>"),
        ("| json", "command is missing"),
        ("terminal length many", "<lines>"),
        ("terminal length 9999", "within 0 and 500"),
        ("x " * 700, "words"),
    ):
        with pytest.raises(ConsoleError) as told:
            GRAMMAR.parse(line, Mode.LOOK)
        assert told.value.code == "console.syntax"
        assert says in told.value.message, told.value.message
    for line, says in (
        ("add mask a points 0,0 2.5,1 1,1", "pixels are whole"),
        ("add mask a points 0,0 x,1", "not a number"),
        ("commit confirmed 90", "within 1 and 60"),
        ("commit confirmed 5 confirmed 6", "given twice"),
        ("commit confirmed", "comes <minutes>"),
        ("set margin nan", "not a finite"),
    ):
        with pytest.raises(ConsoleError) as told:
            GRAMMAR.parse(line, Mode.CHANGE)
        assert says in told.value.message, told.value.message
    assert GRAMMAR.parse("   ", Mode.LOOK) is None
    call = GRAMMAR.parse("comm reason a new driveway conf 5", Mode.CHANGE)
    assert call is not None
    assert call.values == {"reason": "a new driveway conf 5"}
    call = GRAMMAR.parse("comm conf 5 rea a new driveway", Mode.CHANGE)
    assert call is not None
    assert call.values == {"confirmed": 5.0, "reason": "a new driveway"}


@given(st.text(max_size=40))
def test_a_quoted_word_comes_back(word: str) -> None:
    words, is_open = split(quote(word))
    assert ([one.text for one in words], is_open) == ([word], False)


VOCABULARY = sorted(
    {part for one in GRAMMAR.commands for part in one.parts if isinstance(part, str)}
    | {option.word for one in GRAMMAR.commands for option in one.options}
    | {"|", "match", "json", '"', "door", "0.1,0.2", "5", "-1", "\\", "é", "\0"}
)
LINES = st.one_of(
    st.text(max_size=60), st.lists(st.sampled_from(VOCABULARY), max_size=9).map(" ".join)
)


@given(LINES, st.sampled_from(Mode), st.sampled_from(Level))
def test_any_line_is_a_command_or_a_clear_error(line: str, mode: Mode, level: Level) -> None:
    try:
        call = GRAMMAR.parse(line, mode)
    except ConsoleError as err:
        told = (err.code, bool(err.hint), len(err.message) < 500)
        if told != ("console.syntax", True, True):
            raise AssertionError(told) from err
    else:
        assert call is None or mode in call.command.modes
    for one in GRAMMAR.following(line, mode, level, lambda _source: ("door", "front door", "x|y")):
        assert one.text or one.shape
        # What is offered may stand there: the line with it is not refused for that word.
        if one.text and (not line or line[-1].isspace()):
            GRAMMAR.following(f"{line}{one.text} ", mode, level, no_names)
