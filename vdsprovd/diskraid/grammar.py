"""What a command looks like, and the command that words are.

Keywords go in any case, and can be shortened to three letters and more, as long as one keyword is meant. A command's
`Form` is the one source of its syntax, its help and its row in docs/diskraid.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from vdsprovd.diskraid import values
from vdsprovd.diskraid.layout import wrapped
from vdsprovd.diskraid.lexer import Word
from vdsprovd.diskraid.problems import Mistake

if TYPE_CHECKING:
    from vdsprovd.diskraid.session import Session

NOERR: Final = "noerr"


@dataclass(frozen=True)
class Parameter:
    """`key=value`: how the value is read and how the help shows it. A value that may be empty is optional in it."""

    key: str
    read: Callable[[str], Any]
    shape: str
    help: str
    required: bool = False
    empty: bool = False

    @property
    def syntax(self) -> str:
        """As the help shows it."""
        text = f"{self.key}=[{self.shape}]" if self.empty else f"{self.key}={self.shape}"
        return text if self.required else f"[{text}]"


@dataclass(frozen=True)
class Operand:
    """What stands alone after a command's words, such as an object's number."""

    read: Callable[[str], Any]
    shape: str
    help: str
    required: bool = False


@dataclass(frozen=True)
class Flag:
    """A word that may be there or not; `early` ones are shown before what they are about."""

    word: str
    help: str
    early: bool = False


@dataclass(frozen=True)
class Given:
    """What a line says: the words of its form (in full, in lower case), and what else it has."""

    words: tuple[str, ...]
    values: Mapping[str, Any] = field(default_factory=dict)
    operand: Any = None
    flags: frozenset[str] = frozenset()

    def get(self, key: str) -> Any:
        """A parameter's value, None where it is not given."""
        return self.values.get(key)


Choice = tuple[str, ...]
"""Words of which one is given."""


@dataclass(frozen=True)
class Form:
    """A command, or one of the forms that it has.

    `words` are fixed, or a choice of several. `difference` tells where it does otherwise than DiskRAID; "" is nowhere.
    `calls` names the methods of the API behind it, for docs/diskraid.md. `rest` is how the help shows what stands after the
    words, where there is too much to show all of it.
    """

    words: tuple[str | Choice, ...]
    run: Callable[[Session, Given], None]
    help: str
    calls: str = ""
    parameters: tuple[Parameter, ...] = ()
    operand: Operand | None = None
    flags: tuple[Flag, ...] = ()
    noerr: bool = False
    difference: str = ""
    rest: str = ""

    @property
    def name(self) -> str:
        """The command's first word."""
        (name,) = options(self.words[0])
        return name

    @property
    def syntax(self) -> str:
        """The command as the help shows it."""
        parts = [word if isinstance(word, str) else "{" + " | ".join(word) + "}" for word in self.words]
        if self.rest:
            return " ".join([*parts, self.rest])
        parts += [f"[{flag.word}]" for flag in self.flags if flag.early]
        if self.operand:
            parts.append(self.operand.shape if self.operand.required else f"[{self.operand.shape}]")
        parts += [parameter.syntax for parameter in self.parameters]
        parts += [f"[{flag.word}]" for flag in self.flags if not flag.early]
        if self.noerr:
            parts.append(f"[{NOERR}]")
        return " ".join(parts)

    @property
    def bare_words(self) -> tuple[str, ...]:
        """The words that may stand after the form's own."""
        return (*(flag.word for flag in self.flags), *([NOERR] if self.noerr else []))


def options(word: str | Choice) -> Choice:
    """The words of which one is given in that place."""
    return (word,) if isinstance(word, str) else word


def keyword(text: str, words: Iterable[str]) -> str | None:
    """The candidate that the text is, or is an abbreviation of; None if none. Raises `Mistake` where several are."""
    found = values.candidates(text, words)
    if len(found) > 1:
        raise Mistake(f"{text!r} could be {' or '.join(word.upper() for word in found)}")
    return found[0] if found else None


def match(found: Sequence[Word], forms: Iterable[Form]) -> tuple[Form, Given]:
    """The form that the words have, and what they say. Raises `Mistake` with what is expected instead."""
    form, given, rest = _form(found, forms)
    return form, _read(form, given, rest)


def _form(found: Sequence[Word], forms: Iterable[Form]) -> tuple[Form, tuple[str, ...], Sequence[Word]]:
    """The form by its own words: those, and the words after them."""
    left = list(forms)
    given: list[str] = []
    while True:
        place = len(given)
        complete = [form for form in left if len(form.words) == place]
        longer = [form for form in left if len(form.words) > place]
        expected = list(dict.fromkeys(word for form in longer for word in options(form.words[place])))
        word = found[place] if place < len(found) else None
        chosen = keyword(word.text, expected) if word and word.key is None and not word.quoted else None
        if chosen is None:
            if complete:
                return complete[0], tuple(given), found[place:]
            raise Mistake(_expected(word, given, expected, left))
        given.append(chosen)
        left = [form for form in longer if chosen in options(form.words[place])]


def _expected(word: Word | None, given: Sequence[str], expected: Sequence[str], left: Sequence[Form]) -> str:
    shown = _shown(word) if word else ""
    if not given:
        return f"{shown} is no command; type HELP for a list of them"
    command = " ".join(given).upper()
    is_no = f"{shown} cannot follow {command}" if word else f"{command} is not complete"
    return f"{is_no}; there can be {', '.join(option.upper() for option in expected)}\n{usage(left)}"


def usage(forms: Iterable[Form]) -> str:
    """The syntax of the forms, in lines."""
    return "\n".join(line for form in forms for line in wrapped(f"Syntax: {form.syntax}", "  ", " " * 10))


def _read(form: Form, given: tuple[str, ...], rest: Sequence[Word]) -> Given:
    parameters = {parameter.key: parameter for parameter in form.parameters}
    texts: dict[str, str] = {}
    flags: set[str] = set()
    operand: Word | None = None
    waiting: str | None = None  # a parameter whose value is the next word, after a blank
    for word in rest:
        if word.key is not None:
            key = keyword(word.key, parameters)
            if key is None:
                raise Mistake(f"{word.key.upper()}= is no parameter of {_name(given)}\n{usage([form])}")
            if key in texts:
                raise Mistake(f"{key.upper()}= is there twice\n{usage([form])}")
            texts[key] = word.text
            waiting = key if not word.text and not word.quoted else None
            continue
        flag = None if word.quoted else keyword(word.text, form.bare_words)
        if flag:
            flags.add(flag)
        elif waiting:
            texts[waiting] = word.text
        elif form.operand and operand is None:
            operand = word
        else:
            raise Mistake(f"{_shown(word)} is more than {_name(given)} takes\n{usage([form])}")
        waiting = None
    for parameter in form.parameters:
        if parameter.required and parameter.key not in texts:
            raise Mistake(f"{parameter.key.upper()}= is missing\n{usage([form])}")
    if form.operand and form.operand.required and operand is None:
        raise Mistake(f"{form.operand.shape} is missing\n{usage([form])}")
    return Given(
        given,
        {key: _value(form, parameters[key], text) for key, text in texts.items()},
        None if operand is None or form.operand is None else _operand(form, form.operand, operand.text),
        frozenset(flags),
    )


def _value(form: Form, parameter: Parameter, text: str) -> Any:
    if not text and not parameter.empty:
        raise Mistake(f"{parameter.key.upper()}= has no value\n{usage([form])}")
    try:
        return parameter.read(text)
    except ValueError as error:
        raise Mistake(f"{parameter.key.upper()}=: {error}\n{usage([form])}") from None


def _operand(form: Form, operand: Operand, text: str) -> Any:
    try:
        return operand.read(text)
    except ValueError as error:
        raise Mistake(f"{error}\n{usage([form])}") from None


def _name(given: Sequence[str]) -> str:
    return " ".join(given).upper()


def _shown(word: Word) -> str:
    """The word for a message: a value is not shown, since it could be a secret."""
    return f"{word.key.upper()}=" if word.key is not None else repr(word.text)
