"""Of vdsprovctl.1: the commands, the options and the exit statuses, from the help texts of vdsprovctl."""

import inspect
import re
import textwrap
from collections.abc import Iterator

import click

from vdsprovd.cli import errors
from vdsprovd.cli.__main__ import ALIASES, COMMANDS, vdsprovctl
from vdsprovd.cli.verbs import Verb

COMMON = ("--json", "--long", "--watch", "--yes", "--dry-run", "--no-wait", "--help")
"""Options that many commands have, and that the text written by hand explains."""


def parts() -> dict[str, str]:
    """The generated parts, by the name in the comments around them."""
    with vdsprovctl.make_context("vdsprovctl", [], resilient_parsing=True) as context:
        return {
            "options": "\n\n".join(_options(vdsprovctl, context, ())),
            "commands": "\n\n".join(text for name in COMMANDS for text in _command(name, context)),
            "statuses": "\n".join(
                [
                    "| Status | Meaning |",
                    "|---|---|",
                    *(f"| {code} | {text} |" for code, text in errors.STATUSES.items()),
                ]
            ),
        }


def _command(name: str, context: click.Context) -> Iterator[str]:
    """A command, and those below it."""
    group = context.command
    assert isinstance(group, click.Group)
    command = group.get_command(context, name)
    assert command is not None
    with click.Context(command, info_name=name, parent=context) as inner:
        path = inner.command_path.removeprefix("vdsprovctl ")
        noun = isinstance(command, click.Group)
        depth = "###" if " " not in path else "####"
        yield f"{depth} {path}{'' if noun else _usage(command, inner)}"
        yield from _paragraphs(command.help or "")
        if aliases := [alias for alias, meant in ALIASES.items() if meant == path]:
            yield f"Also: **{'**, **'.join(aliases)}**."
        yield from _options(command, inner, COMMON)
        yield from _paragraphs(command.epilog or "")
        if isinstance(command, Verb):
            yield _filled(f"Methods: {', '.join(f'*{method}*' for method in command.calls)}.")
        if isinstance(command, click.Group):
            for below in command.list_commands(inner):
                yield from _command(below, inner)


def _usage(command: click.Command, context: click.Context) -> str:
    """What stands behind the command's name: arguments, and options with what they take."""
    words = []
    for parameter in command.params:
        shown = parameter.make_metavar(context)
        if isinstance(parameter, click.Option):
            option = f"**{_long(parameter)}**" + ("" if parameter.is_flag else f" *{shown}*")
            option = "|".join([option, *(f"**{name}**" for name in parameter.secondary_opts)])
            words.append(option if parameter.required else f"[{option}]" + ("..." if parameter.multiple else ""))
        else:
            bare = shown.strip("[].{}")
            several = "..." if parameter.nargs == -1 else ""
            words.append(f"*{bare}*{several}" if parameter.required else f"[*{bare}*]{several}")
    return "".join(f" {word}" for word in words)


def _long(option: click.Option) -> str:
    return next(name for name in option.opts if name.startswith("--"))


def _options(command: click.Command, context: click.Context, without: tuple[str, ...]) -> Iterator[str]:
    """The command's options, each with its help."""
    for parameter in command.get_params(context):
        if isinstance(parameter, click.Option) and _long(parameter) not in without:
            record = parameter.get_help_record(context)
            assert record is not None
            names = ", ".join(f"**{name}**" for name in (*parameter.opts, *parameter.secondary_opts))
            takes = "" if parameter.is_flag else f" *{parameter.make_metavar(context)}*"
            help = re.sub(r"  \[", " [", record[1].replace("; required]", "]").replace("  [required]", ""))
            yield f"{names}{takes}\n{_filled(f': {_text(help)}', '  ')}"


def _paragraphs(help: str) -> Iterator[str]:
    """The paragraphs of a help text; those that click is to leave as they are become examples."""
    for paragraph in inspect.cleandoc(help).split("\n\n"):
        if paragraph.startswith("\b"):
            title, *lines = paragraph.removeprefix("\b").lstrip("\n").splitlines()
            yield _text(title)
            yield "\n".join(f"    {line.removeprefix('  ')}" for line in lines)
        elif paragraph:
            yield _filled(_text(" ".join(paragraph.split())))


def _text(text: str) -> str:
    """Help as Markdown: options in bold, and no asterisk that would be taken for one."""
    text = text.replace("*", r"\*").replace("<", r"\<")
    return re.sub(r"(?<![\w-])(--?[a-z][a-z-]*)", r"**\1**", text)


def _filled(text: str, rest: str = "") -> str:
    return textwrap.fill(text, 120, subsequent_indent=rest, break_long_words=False, break_on_hyphens=False)
