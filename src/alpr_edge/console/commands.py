"""Every command of the console, as data. Pure.

docs/technician.md holds the table that `scripts/console_commands.py` makes of this. What a command
does is in `looking`, `editing`, `acting` and `people`, by its key.
"""

from __future__ import annotations

from typing import Final

from alpr_edge.console import kinds
from alpr_edge.console.access import Level
from alpr_edge.console.grammar import BOTH, CHANGE, LOOK, Arg, Command, Grammar, Option
from alpr_edge.console.moving import RECEIVED, SENT

_TECHNICIAN: Final = Level.TECHNICIAN
_SUPERVISOR: Final = Level.SUPERVISOR

_POINTS: Final = Arg("points", kinds.PLACE, "corners in order: parts of the frame, or pixels", True)
_CORNERS: Final = (
    Arg("corner", kinds.PLACE, "one corner"),
    Arg("opposite", kinds.PLACE, "the opposite corner"),
)
_NEW: Final = Arg("name", kinds.NEW_NAME, "a new name; with spaces in double quotes")
_MASK: Final = Arg("name", kinds.MASK, "mask of the candidate")
_BAND: Final = Arg("name", kinds.BAND, "band of the candidate")
_GATE: Final = Arg("name", kinds.GATE, "gate of the candidate")
_USER: Final = Arg("user", kinds.USER, "name of a user")
_REASON: Final = Option("reason", Arg("reason", kinds.TEXT, "why, for the record", many=True))
_TAINTS: Final = Option(
    "taints",
    Arg("taints", kinds.choice("both", "left_to_right", "right_to_left"), "direction"),
    "which crossings count, seen from the first point to the last",
)
_WIDE: Final = Option("columns", Arg("columns", kinds.COLUMNS, "width of the drawing"))


def _look(key: str, words: str, text: str, *needs: str, level: Level = Level.VIEWER) -> Command:
    return Command(key, tuple(words.split()), text, level, BOTH, needs=needs or (key,))


_LOOKING: Final = (
    _look("about", "show version", "unit, site, software, digests"),
    _look("status", "show status", "whether it reads, and why not"),
    _look("health", "show health", "queue, disk, temperature, link: as on the state topic"),
    _look("masks", "show masks", "what is protected now"),
    Command(
        "drawing",
        ("show", "drawing"),
        "the masks drawn with letters: # blanked, + taints, = gate",
        modes=BOTH,
        options=(_WIDE, Option("in-force", None, "in configure mode: not the candidate")),
        needs=("masks",),
    ),
    _look("mask_history", "show history", "every mask record that was ever committed"),
    Command(
        "record",
        ("show", "record", Arg("number", kinds.RECORD, "of a mask record")),
        "the masks of an earlier record",
        modes=BOTH,
        needs=("record_zones",),
    ),
    Command(
        "reference",
        ("show", "reference"),
        "the reference view, and whether the view still is it",
        modes=BOTH,
        options=(Option("drawing", None, "its edges, drawn with letters"),),
        needs=("reference",),
    ),
    _look("calibration", "show calibration", "where the camera stands and looks"),
    _look("premises", "show premises", "the register of protected premises"),
    _look("placement", "show placement", "the verdict of the placement check"),
    _look("network", "show network", "addresses and links"),
    _look("mqtt", "show mqtt", "where reads go, and whether it is reached"),
    _look("certificates", "show certificates", "certificates of the broker link"),
    _look("models", "show models", "the models that are loaded, and their digests"),
    _look("self_test", "show self-test", "the latest result"),
    _look("ledger_head", "show ledger", "the ledger's latest signed checkpoint"),
    Command(
        "whoami", ("show", "login"), "who is logged in, since when, with which key", modes=BOTH
    ),
    Command("show_terminal", ("show", "terminal"), "width, length, kind", modes=BOTH),
    Command(
        "reads",
        ("show", "reads"),
        "released reads that wait here; asks for a reason, which goes to the ledger",
        _SUPERVISOR,
        options=(Option("count", Arg("count", kinds.COUNT, "how many, newest last")),),
        needs=("reads",),
    ),
)

_EDITING: Final = (
    *(
        Command(
            f"{verb}_{what}",
            (verb, what, _NEW if verb == "add" else arg, "points", _POINTS),
            text,
            _TECHNICIAN,
            CHANGE,
            options=(_TAINTS,) if what == "gate" else (),
            changes=True,
        )
        for what, arg, thing in (
            ("mask", _MASK, "a mask: its pixels are blanked"),
            ("band", _BAND, "a band: what touches it taints"),
            ("gate", _GATE, "a gate line: crossing it taints"),
        )
        for verb, text in (("add", f"add {thing}"), ("set", f"add or replace {thing}"))
    ),
    Command(
        "add_rectangle",
        ("add", "mask", _NEW, "rectangle", *_CORNERS),
        "add a mask from two opposite corners",
        _TECHNICIAN,
        CHANGE,
        changes=True,
    ),
    *(
        Command(
            f"delete_{what}",
            ("delete", what, arg),
            f"take a {what} out of the candidate",
            _TECHNICIAN,
            CHANGE,
            changes=True,
        )
        for what, arg in (("mask", _MASK), ("band", _BAND), ("gate", _GATE))
    ),
    *(
        Command(
            f"nudge_{what}",
            (
                *("nudge", what, arg),
                Arg("dx", kinds.SHIFT, "to the right, in parts of the frame's width"),
                Arg("dy", kinds.SHIFT, "down, in parts of the frame's height"),
            ),
            f"shift a {what}",
            _TECHNICIAN,
            CHANGE,
            changes=True,
        )
        for what, arg in (("mask", _MASK), ("band", _BAND), ("gate", _GATE))
    ),
    *(
        Command(
            f"widen_{what}",
            ("widen", what, arg, Arg("by", kinds.WIDTH, "in parts of the frame's width")),
            f"grow a {what} to all sides",
            _TECHNICIAN,
            CHANGE,
            changes=True,
        )
        for what, arg in (("mask", _MASK), ("band", _BAND))
    ),
    Command(
        "edit",
        ("edit", "mask", _MASK),
        "work on one mask: add point, move point, delete point, nudge, widen",
        _TECHNICIAN,
        CHANGE,
    ),
    Command(
        "add_point",
        ("add", "point", Arg("place", kinds.PLACE, "where")),
        "in edit: a corner more",
        _TECHNICIAN,
        CHANGE,
        options=(Option("before", Arg("index", kinds.INDEX, "of a corner, from 1"), "else last"),),
        changes=True,
    ),
    Command(
        "move_point",
        ("set", "point", Arg("index", kinds.INDEX, "from 1"), Arg("place", kinds.PLACE, "where")),
        "in edit: put a corner elsewhere",
        _TECHNICIAN,
        CHANGE,
        changes=True,
    ),
    Command(
        "delete_point",
        ("delete", "point", Arg("index", kinds.INDEX, "from 1")),
        "in edit: a corner less",
        _TECHNICIAN,
        CHANGE,
        changes=True,
    ),
    Command("top", ("top",), "leave edit", _TECHNICIAN, CHANGE),
    Command(
        "set_margin",
        ("set", "margin", Arg("part", kinds.WIDTH, "of the frame's width")),
        "grow every mask by this before it is blanked",
        _TECHNICIAN,
        CHANGE,
        changes=True,
    ),
    Command(
        "set_band_width",
        ("set", "ring", Arg("part", kinds.WIDTH, "of the frame's width")),
        "width of the tainting ring round every mask",
        _TECHNICIAN,
        CHANGE,
        changes=True,
    ),
    Command(
        "set_whole_frame",
        ("set", "whole-frame", Arg("state", kinds.choice("on", "off"))),
        "blank everything: nothing is read",
        _TECHNICIAN,
        CHANGE,
        changes=True,
    ),
    Command(
        "set_nothing",
        ("set", "nothing-protected", Arg("state", kinds.choice("on", "off"))),
        "the statement that nothing protected is in view",
        _TECHNICIAN,
        CHANGE,
        changes=True,
    ),
    Command(
        "set_view",
        ("set", "reference", Arg("view", kinds.choice("taken", "none"))),
        "the reference view that the record names: the one that was taken, or none",
        _TECHNICIAN,
        CHANGE,
        changes=True,
        needs=("reference",),
    ),
    Command("candidate", ("show", "candidate"), "the candidate", _TECHNICIAN, CHANGE),
    Command(
        *("compare", ("compare",), "what the candidate would change", _TECHNICIAN, CHANGE),
        needs=("masks", "preview"),
    ),
    Command(
        *("check", ("check",), "whether the candidate could be committed", _TECHNICIAN, CHANGE),
        needs=("masks", "preview"),
    ),
    Command(
        "commit",
        ("commit",),
        "sign the candidate and put it in force; what narrows waits for `confirm`",
        _TECHNICIAN,
        CHANGE,
        options=(
            Option("confirmed", Arg("minutes", kinds.MINUTES, "1 to 60"), "time to confirm (10)"),
            _REASON,
        ),
        needs=("preview", "draft", "commit_record"),
    ),
    Command(
        "commit_signed",
        ("commit", "signed"),
        "paste a record that was signed elsewhere: by persons, or by the city's order",
        _TECHNICIAN,
        BOTH,
        options=(Option("confirmed", Arg("minutes", kinds.MINUTES, "1 to 60"), "time (10)"),),
        needs=("commit_record",),
    ),
    Command(
        "draft",
        ("show", "draft"),
        "the candidate as a record to be signed elsewhere",
        _TECHNICIAN,
        CHANGE,
        options=(_REASON,),
        needs=("draft",),
    ),
    Command(
        *("discard", ("discard",), "the candidate again as what is in force", _TECHNICIAN, CHANGE),
        changes=True,
        needs=("masks",),
    ),
    Command(
        "rollback",
        ("rollback", Arg("number", kinds.RECORD, "of an earlier record")),
        "the candidate as an earlier record; a commit is judged as any other",
        _TECHNICIAN,
        CHANGE,
        changes=True,
        needs=("record_zones",),
    ),
    Command("configure", ("configure",), "begin to change", _TECHNICIAN, LOOK, needs=("masks",)),
    Command("exit_configure", ("exit",), "leave edit, then configure", _TECHNICIAN, CHANGE),
)

_ACTING: Final = (
    Command(
        "confirm",
        ("confirm",),
        "the pending masks alone are in force from now on",
        _TECHNICIAN,
        BOTH,
        needs=("confirm_masks",),
    ),
    Command(
        "run_self_test",
        ("test", "self"),
        "have a self-test run with the next frames",
        _TECHNICIAN,
        needs=("run_self_test",),
    ),
    Command(
        "test_mqtt",
        ("test", "mqtt"),
        "reach the broker now: name, connection, certificate, login",
        _TECHNICIAN,
        BOTH,
        options=(Option("requested", None, "the one that was set and is not signed yet"),),
        needs=("test_mqtt",),
    ),
    Command(
        "take_reference",
        ("reference", "take"),
        "take a reference view: by day, masks final; counts when masks name it",
        _TECHNICIAN,
        options=(
            Option("seconds", Arg("seconds", kinds.SECONDS, "10 to 600"), "how long to look (60)"),
        ),
        needs=("take_reference",),
    ),
    Command(
        "calibrate",
        ("calibrate",),
        "where the camera stands and looks, by questions; `back` takes an answer back",
        _TECHNICIAN,
        needs=("save_calibration",),
    ),
    Command(
        "update",
        ("update",),
        "what runs, and how other software comes: it is kept here, not installed",
        needs=("about",),
    ),
    Command(
        "load_configuration",
        ("load", "configuration"),
        "paste another configuration and the city's signature; counts from the next start",
        _TECHNICIAN,
        needs=("push",),
    ),
    Command("reboot", ("reboot",), "switch the unit off and on", _TECHNICIAN, needs=("reboot",)),
    Command(
        "factory_reset",
        ("factory-reset",),
        "erase keys, users and waiting reads; nothing is read until it is set up again",
        _SUPERVISOR,
        needs=("factory_reset",),
    ),
)

_MOVING: Final = (
    Command(
        "send",
        ("send", Arg("what", kinds.choice(*SENT), "a file of the unit")),
        "have the unit send a file by XMODEM; pictures are masked, plates covered",
        _TECHNICIAN,
        needs=("pull", "still", "requested"),
    ),
    Command(
        "receive",
        ("receive", Arg("what", kinds.choice(*RECEIVED), "a file for the unit")),
        "have the unit take a signed file by XMODEM",
        _TECHNICIAN,
        options=(Option("size", Arg("size", kinds.SIZE, "of the file"), "where it is no text"),),
        needs=("push",),
    ),
)

_SETTING: Final = (
    Command(
        "set_network_address",
        ("set", "network", "address", Arg("value", kinds.ADDRESS, "of the unit's link")),
        "the unit's address: in force at `commit network`",
        _TECHNICIAN,
        CHANGE,
        needs=("link_settings",),
    ),
    Command(
        "set_network_gateway",
        ("set", "network", "gateway", Arg("value", kinds.IP, "of the router")),
        "the way out: in force at `commit network`",
        _TECHNICIAN,
        CHANGE,
        needs=("link_settings",),
    ),
    Command(
        "set_network_dns",
        ("set", "network", "dns", Arg("value", kinds.IP, "one or more", many=True)),
        "name servers: in force at `commit network`",
        _TECHNICIAN,
        CHANGE,
        needs=("link_settings",),
    ),
    Command(
        "set_mqtt_host",
        ("set", "mqtt", "host", Arg("value", kinds.HOST, "name or address")),
        "another broker: a request that the city signs",
        _TECHNICIAN,
        CHANGE,
        needs=("requested",),
    ),
    Command(
        "set_mqtt_port",
        ("set", "mqtt", "port", Arg("value", kinds.PORT, "mostly 8883 with certificates")),
        "another port of the broker: a request that the city signs",
        _TECHNICIAN,
        CHANGE,
        needs=("requested",),
    ),
    Command(
        "show_settings",
        ("show", "settings"),
        "network and broker: what was set, and what is not in force yet",
        _TECHNICIAN,
        BOTH,
        needs=("link_settings",),
    ),
    Command(
        "commit_network",
        ("commit", "network"),
        "put the network settings in force",
        _TECHNICIAN,
        CHANGE,
        needs=("set_link",),
    ),
    Command(
        "show_request",
        ("show", "request"),
        "the configuration with what was set, for the city to sign",
        _TECHNICIAN,
        BOTH,
        needs=("requested",),
    ),
    Command(
        "discard_settings",
        ("discard", "settings"),
        "network and broker again as they are",
        _TECHNICIAN,
        CHANGE,
    ),
)

_PEOPLE: Final = (
    Command("users", ("show", "users"), "users, roles, keys, last logins", _SUPERVISOR),
    Command(
        "user_add",
        ("user", "add", Arg("user", kinds.USER), Arg("level", kinds.LEVEL, "role")),
        "a new user; prints a password for the first login",
        _SUPERVISOR,
        needs=("users",),
    ),
    Command(
        *("user_delete", ("user", "delete", _USER), "take a user away", _SUPERVISOR),
        needs=("users",),
    ),
    Command(
        "user_reset",
        ("user", "reset", _USER),
        "a new first password, second factor and key for a user",
        _SUPERVISOR,
        needs=("users",),
    ),
    Command("password", ("password",), "another password for yourself"),
    Command("second_factor", ("second-factor",), "another second factor for yourself"),
)

_TERMINAL: Final = (
    Command(
        "help",
        ("help", Arg("words", kinds.WORD, "a command's first words", many=True, optional=True)),
        "what can be typed here; ? does the same in mid-line",
        modes=BOTH,
    ),
    Command("typed", ("history",), "the lines you typed", modes=BOTH),
    Command("terminal_dumb", ("terminal", "dumb"), "no redrawing, no pager", modes=BOTH),
    Command("terminal_full", ("terminal", "full"), "arrows, scrolling of long lines", modes=BOTH),
    Command(
        "terminal_length",
        ("terminal", "length", Arg("lines", kinds.LINES, "of the screen; 0: no pager")),
        "lines before the pager waits",
        modes=BOTH,
    ),
    Command(
        "terminal_width",
        ("terminal", "width", Arg("columns", kinds.COLUMNS, "of the screen")),
        "columns of the screen",
        modes=BOTH,
    ),
    Command("logout", ("logout",), "leave", modes=BOTH),
    Command("logout", ("exit",), "leave", modes=LOOK),
)

GRAMMAR: Final = Grammar(
    (*_LOOKING, *_EDITING, *_ACTING, *_SETTING, *_MOVING, *_PEOPLE, *_TERMINAL)
)
