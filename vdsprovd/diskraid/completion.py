"""What can come next in a line: keywords, parameters, and the numbers of objects."""

from vdsprovd.client import Unreachable
from vdsprovd.diskraid import lexer, values
from vdsprovd.diskraid.grammar import Form, options
from vdsprovd.diskraid.kinds import KINDS
from vdsprovd.diskraid.problems import Problem
from vdsprovd.diskraid.session import Session
from vdsprovd.hresult import VdsError


def complete(session: Session, before: str, begun: str) -> list[str]:
    """The words with which a line that has `before` can go on, of those that begin like `begun`."""
    try:
        given = [word.text if word.key is None else f"{word.key}=" for word in lexer.words(before)]
        found = _next(session, given)
    except (Problem, VdsError, Unreachable):
        # There is nobody to tell while a line is typed.
        return []
    return [f"{word} " if not word.endswith("=") else word for word in found if word.lower().startswith(begun.lower())]


def _next(session: Session, given: list[str]) -> list[str]:
    left = list(session.forms)
    for place, text in enumerate(given):
        longer = [form for form in left if len(form.words) > place]
        matching = [form for form in longer if values.candidates(text, options(form.words[place]))]
        if not matching:
            return _after([form for form in left if len(form.words) <= place], session, given)
        left = matching
    place = len(given)
    words = [word for form in left if len(form.words) > place for word in options(form.words[place])]
    return list(dict.fromkeys([*words, *_after([form for form in left if len(form.words) == place], session, given)]))


def _after(forms: list[Form], session: Session, given: list[str]) -> list[str]:
    """What can stand after the words of these forms, and is not there yet."""
    found: list[str] = []
    for form in forms:
        rest = given[len(form.words) :]
        if form.name == "select" and not rest:
            found += [
                str(number) for word in values.candidates(given[1], KINDS) for number in session.focus.numbers(word)
            ]
        found += [f"{parameter.key}=" for parameter in form.parameters if f"{parameter.key}=" not in rest]
        found += [word for word in form.bare_words if word not in rest]
    return found
