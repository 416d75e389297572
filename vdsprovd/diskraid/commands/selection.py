"""LIST and SELECT."""

from typing import Final

from vdsprovd.diskraid import layout, values
from vdsprovd.diskraid.grammar import Form, Given, Operand
from vdsprovd.diskraid.kinds import KINDS, PLURALS, with_space
from vdsprovd.diskraid.problems import NotSelected
from vdsprovd.diskraid.session import Session


def _list(session: Session, given: Given) -> None:
    word = PLURALS[given.words[1]]
    kind = KINDS[word]
    objects = list(session.focus.count(word))
    if not objects:
        session.say("", f"There are no {kind.noun}s.")
        return
    if word == "drive":
        objects = with_space(session, objects)
    selected = session.focus.get(word)
    rows = ((f"{kind.title} {number}", entry["id"] == selected, entry) for number, entry in enumerate(objects))
    session.say("", *layout.table(f"{kind.title} ###", kind.columns, rows))


def _select(session: Session, given: Given) -> None:
    word = given.words[1]
    title, noun = KINDS[word].title, KINDS[word].noun
    if given.operand is None:
        selected = session.focus.get(word)
        if selected is None:
            session.say("", f"There is no selected {noun}.")
        else:
            session.say("", f"{title} {session.focus.number(word, selected)} is the selected {noun}.")
        return
    if KINDS[word].inside:
        session.focus.require(KINDS[word].inside)
    try:
        session.select(word, given.operand)
    except NotSelected as error:
        # No failure: a script goes on, and its next command says what it lacks, unless that has NOERR.
        session.say("", f"{str(error)[:1].upper()}{str(error)[1:]}.", f"There is no selected {noun} now.")
    else:
        session.say("", f"{title} {given.operand} is now the selected {noun}.")


_WHAT: Final = (
    "`list drives` asks for the extents of each drive, and the other lists take one or two calls however much there is."
)

FORMS: Final = (
    Form(
        ("list", tuple(PLURALS)),
        _list,
        "Lists the objects of a kind, with their numbers. The selected one has a star.",
        calls="the Query methods",
        difference=(
            "`hbaports` are the Fibre Channel ports of this host; `iadapters` are open-iscsi's interfaces, and `iportals` "
            "the addresses of the selected one. " + _WHAT
        ),
    ),
    Form(
        ("select", tuple(KINDS)),
        _select,
        "Selects the object with that number, or shows which one is selected. Number and kind are those of LIST.",
        calls="the Query methods, where no list was made before",
        operand=Operand(values.number, "<n>", "the object's number; one that no object has leaves none selected"),
    ),
)
