"""What can be said at a node: the verbs of vdsprovctl, whose parameters are written `key=value`, or in their order.

A verb is taken as click has it. Where the node has an object for a parameter, that one is given already.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Final, Protocol

import click

from vdsprovd.shell.line import Word

Resolve = Callable[[click.Parameter, str], str]
"""What a parameter gets for what was typed: the id of the object that is meant, for one that names an object."""


class Here(Protocol):
    """Where a command is given."""

    def resolve(self, parameter: click.Parameter, text: str) -> str:
        """As `Resolve`."""


_TRUE: Final = ("true", "yes", "on", "1")
_FALSE: Final = ("false", "no", "off", "0")


class Command:
    """One command of a node."""

    def __init__(
        self,
        verb: click.Command,
        within: Sequence[str] = (),
        given: Mapping[str, str] | None = None,
        *,
        here: bool = False,
    ) -> None:
        """`within` are the nouns that have the verb; `given` the values of parameters, by their names in Python.

        One that is `here` gets the node that it is given at; others get what verbs of vdsprovctl get.
        """
        self.is_here = here
        self.verb = verb
        self.within = tuple(within)
        self.given = dict(given or {})

    @property
    def name(self) -> str:
        """What one types."""
        return self.verb.name or ""

    @property
    def summary(self) -> str:
        """What it does, in one line."""
        return self.verb.get_short_help_str(200)

    @property
    def parameters(self) -> list[click.Parameter]:
        """Those that can be given: arguments in their order, then options."""
        left = [one for one in self.verb.params if one.name not in self.given and not getattr(one, "hidden", False)]
        return sorted(left, key=lambda one: isinstance(one, click.Option))

    @property
    def _arguments(self) -> list[click.Parameter]:
        return [one for one in self.parameters if isinstance(one, click.Argument)]

    @property
    def syntax(self) -> str:
        """How to write it, such as: create [NAME] size=SIZE [pool=POOL]."""
        return " ".join([self.name, *map(form, self.parameters)])

    @property
    def usual(self) -> str:
        """The syntax without what is seldom given."""
        seldom = [one for one in self.parameters if isinstance(one, click.Option) and not one.required]
        usual = [form(one) for one in self.parameters if one not in seldom]
        return " ".join([self.name, *usual, *(["..."] if seldom else [])])

    def parameter(self, written: str) -> click.Parameter | None:
        """The parameter of that key."""
        return next((one for one in self.parameters if key(one) == written.replace("_", "-")), None)

    def run(self, context: click.Context, words: Sequence[Word], place: Here) -> object:
        """Carry it out at a place under the context of `vdsprovctl`, and give what the verb returns."""
        for noun in self.within:
            context = click.Context(click.Group(noun), info_name=noun, parent=context)
        arguments = self.arguments(words, place.resolve)
        obj = place if self.is_here else context.obj
        with self.verb.make_context(self.name, arguments, parent=context, obj=obj) as inner:
            return self.verb.invoke(inner)

    def arguments(self, words: Sequence[Word], resolve: Resolve) -> list[str]:
        """The words as click takes them. Raises `click.UsageError`."""
        options: list[str] = []
        values: dict[str, list[str]] = {name: [value] for name, value in self.given.items()}
        in_order: list[str] = []
        for word in words:
            if word.key and not self._is_pair(word.key):
                one = self._known(word.key)
                if isinstance(one, click.Option):
                    options += _option(one, word, resolve)
                elif values.get(one.name or "") and one.nargs == 1:
                    raise click.UsageError(f"{key(one)} is given twice")
                else:
                    values.setdefault(one.name or "", []).append(resolve(one, word.value))
            elif word.text.startswith("-") and len(word.text) > 1 and not word.quoted:
                # As the docs and the messages of verbs have them: --yes, --size=10G.
                options.append(self._as_click(word.text, resolve))
            else:
                in_order.append(word.text)
        for one in self.verb.params:
            if isinstance(one, click.Option):
                if one.name in self.given:
                    options.append(f"{_long(one)}={self.given[one.name]}")
            elif one.name not in values:
                taken = len(in_order) if one.nargs == -1 else one.nargs
                values[one.name or ""] = [resolve(one, text) for text in in_order[:taken]]
                in_order = in_order[taken:]
        if in_order:
            raise click.UsageError(f"{in_order[0]!r} is too much: {self.syntax}")
        ordered = [values[one.name or ""] for one in self.verb.params if isinstance(one, click.Argument)]
        while ordered and not ordered[-1]:
            ordered.pop()
        if [] in ordered:
            raise click.UsageError(f"a parameter before the last one is missing: {self.syntax}")
        return [*options, "--", *(value for each in ordered for value in each)]

    def _is_pair(self, written: str) -> bool:
        """Whether it is the value of a parameter whose values are themselves KEY=VALUE."""
        return self.parameter(written) is None and any("=" in (one.metavar or "") for one in self._arguments)

    def _known(self, written: str) -> click.Parameter:
        one = self.parameter(written)
        if one is None:
            known = ", ".join(map(key, self.parameters)) or "none"
            raise click.UsageError(
                f"{self.name} has no parameter {written!r}; it has: {known}. A word with = in it that is none is to be quoted"
            )
        return one

    def _as_click(self, text: str, resolve: Resolve) -> str:
        name, equals, value = text.partition("=")
        one = next((one for one in self.parameters if name in one.opts), None)
        return f"{name}={resolve(one, value)}" if one and equals else text


def key(parameter: click.Parameter) -> str:
    """How the parameter is called in a line: as its option without the dashes."""
    if isinstance(parameter, click.Option):
        return _long(parameter).lstrip("-")
    return (parameter.name or "").rstrip("_").replace("_", "-")


def values(parameter: click.Parameter) -> list[str]:
    """The values that it can have, where they are known beforehand."""
    if is_flag(parameter):
        return ["true", "false"]
    return list(map(str, getattr(parameter.type, "choices", ())))


def is_flag(parameter: click.Parameter) -> bool:
    """Whether it is true or false."""
    return isinstance(parameter, click.Option) and bool(parameter.is_flag)


def metavar(parameter: click.Parameter) -> str:
    """What stands for its value."""
    if is_flag(parameter):
        return "true|false" if parameter.secondary_opts else "true"
    if isinstance(parameter.type, click.Choice):
        return key(parameter).upper()
    return (parameter.metavar or parameter.type.name.replace(" ", "-")).strip("[].").upper()


def form(parameter: click.Parameter) -> str:
    """How the parameter is written: in brackets if it can be left out, with dots if it can be repeated."""
    if isinstance(parameter, click.Option):
        text = f"{key(parameter)}={metavar(parameter)}"
    else:
        text = metavar(parameter) if parameter.metavar else key(parameter).upper()
    if not parameter.required:
        text = f"[{text}]"
    return f"{text}..." if parameter.nargs == -1 or getattr(parameter, "multiple", False) else text


def _option(one: click.Option, word: Word, resolve: Resolve) -> list[str]:
    if not is_flag(one):
        return [f"{_long(one)}={resolve(one, word.value)}"]
    if word.value.lower() in _TRUE:
        return [_long(one)]
    if word.value.lower() in _FALSE:
        # --thin/--thick has a name for it, --yes has none.
        return one.secondary_opts[:1]
    raise click.UsageError(f"{key(one)} is true or false, not {word.value!r}")


def _long(option: click.Option) -> str:
    return max(option.opts, key=len)
