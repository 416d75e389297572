"""AUTOMAGIC: the hints with which CREATE LUN AUTOMAGIC creates a LUN, or that are applied to one."""

from typing import Final

from vdsprovd.diskraid import hints
from vdsprovd.diskraid.grammar import Flag, Form, Given, Parameter, usage
from vdsprovd.diskraid.hints import HINTS
from vdsprovd.diskraid.layout import Column, table
from vdsprovd.diskraid.problems import Mistake
from vdsprovd.diskraid.session import Session

_ALL: Final = "all"


def _show(session: Session, _: Given) -> None:
    columns = (
        Column("Value", lambda hint: hint.show(session.hints[hint.acronym]) if hint.acronym in session.hints else "-"),
        Column("Takes", lambda hint: hint.shape),
        Column("Meaning", lambda hint: hint.meaning),
    )
    session.say("", *table("Flag", columns, ((acronym, acronym in session.hints, HINTS[acronym]) for acronym in HINTS)))


def _set(session: Session, given: Given) -> None:
    if not given.values:
        raise Mistake("a flag and its value are needed; AUTOMAGIC shows the flags\n" + usage(FORMS[1:2]))
    session.hints |= given.values
    session.say("", "The automagic flags were set.")


def _clear(session: Session, given: Given) -> None:
    for acronym in _named(given, 2):
        session.hints.pop(acronym, None)
    session.say("", "The automagic flags were cleared.")


def _apply(session: Session, given: Given) -> None:
    lun = session.focus.require("lun")
    chosen = {acronym: session.hints[acronym] for acronym in _named(given, 3) if acronym in session.hints}
    wanted = hints.wanted(chosen | dict(given.values))
    if not wanted:
        raise Mistake("none of these flags is set, so nothing can be applied; AUTOMAGIC shows what is set")
    session.client.call("Lun.ApplyHints", id=lun, hints=wanted)
    session.say("", f"Applied to the selected LUN: {', '.join(hints.shown(wanted))}.")


def _named(given: Given, form: int) -> list[str]:
    if _ALL in given.flags:
        return list(HINTS)
    if not given.flags and not given.values:
        raise Mistake("ALL or flags are needed; AUTOMAGIC shows the flags\n" + usage(FORMS[form : form + 1]))
    return [acronym for acronym in HINTS if acronym in given.flags]


_VALUES: Final = tuple(Parameter(hint.acronym, hint.read, hint.shape, hint.meaning) for hint in HINTS.values())
_FLAGS: Final = (Flag(_ALL, "all of them"), *(Flag(hint.acronym, hint.meaning) for hint in HINTS.values()))

FORMS: Final = (
    Form(("automagic",), _show, "Lists the automagic flags, with the values that are set."),
    Form(
        ("automagic", "set"),
        _set,
        "Sets automagic flags, for CREATE LUN AUTOMAGIC and AUTOMAGIC APPLY of this session.",
        parameters=_VALUES,
        rest="<flag>=<value> [<flag>=<value> [...]]",
        difference="`FTL` is no hint of VDS's: it makes the LUN's type fault tolerant, or not.",
    ),
    Form(("automagic", "clear"), _clear, "Clears automagic flags.", flags=_FLAGS, rest="{all | <flag> [<flag> [...]]}"),
    Form(
        ("automagic", "apply"),
        _apply,
        "Applies automagic flags to the selected LUN: those that are set and named here (or ALL), and those given here.",
        calls="Lun.ApplyHints",
        parameters=_VALUES,
        flags=_FLAGS,
        rest="{all | <flag>[=<value>] [<flag>[=<value>] [...]]}",
        difference="`FTL` cannot be applied: a LUN keeps its type.",
    ),
)
