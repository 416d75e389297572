"""HELP, REM, EXIT."""

from typing import Final

from vdsprovd.diskraid import reference
from vdsprovd.diskraid.grammar import Form, Given, Operand
from vdsprovd.diskraid.session import Ended, Session


def _help(session: Session, given: Given) -> None:
    if given.operand is None:
        session.say("", *reference.overview(session.forms))
    else:
        session.say("", *reference.help_of(session.forms, given.operand))


def _exit(_: Session, __: Given) -> None:
    raise Ended


def _remark(_: Session, __: Given) -> None:
    """Does nothing; the lexer leaves comments out before they come here."""


FORMS: Final = (
    Form(("exit",), _exit, "Ends DiskRAID; in a script, with success."),
    Form(
        ("help",),
        _help,
        "Lists the commands, or tells about one.",
        operand=Operand(str, "<command>", "the command to tell about"),
        difference="The form with a command is ours.",
    ),
    Form(
        ("rem",),
        _remark,
        "Is a comment: the rest of the line does nothing.",
        operand=Operand(str, "<comment>", "anything"),
    ),
)
