"""Which verb calls which methods of the API, and what is said of the rest."""

from collections.abc import Iterator

import click
import msgspec
import pytest

from tests import conformance
from vdsprovd import model
from vdsprovd.cli import errors, hints
from vdsprovd.cli.__main__ import ALIASES, COMMANDS, vdsprovctl
from vdsprovd.cli.methods import WITHOUT_VERB
from vdsprovd.cli.nouns.lun.bytes import TYPES
from vdsprovd.cli.verbs import Noun, Verb
from vdsprovd.hresult import Hresult


def commands(group: click.Group | None = None, path: str = "") -> Iterator[tuple[str, click.Command]]:
    """All commands below vdsprovctl, by what one types."""
    context = click.Context(vdsprovctl)
    group = group or vdsprovctl
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        yield f"{path}{name}", command
        if isinstance(command, click.Group):
            yield from commands(command, f"{path}{name} ")


VERBS = {path: command for path, command in commands() if isinstance(command, Verb)}


def test_every_method_has_a_verb_or_a_reason() -> None:
    """Each method of the API is called by a verb, or by events or recover, or it is said why by none; never both."""
    methods = {method.name for method in conformance.methods()}
    called = {method for verb in VERBS.values() for method in verb.calls}
    called |= {"Service.Advise", "HwProvider.Reenumerate", "HwProvider.Refresh"}
    assert called <= methods
    assert methods - called == WITHOUT_VERB.keys()


@pytest.mark.parametrize("path", VERBS)
def test_help(path: str) -> None:
    """Every verb has help: a first sentence that fits a line, what each option does, and the methods that it calls."""
    verb = VERBS[path]
    assert verb.help
    first = verb.help.partition("\n\n")[0].replace("\n", " ")
    assert first.endswith("."), first
    for parameter in verb.params:
        assert not isinstance(parameter, click.Option) or parameter.help
    with click.Context(verb, info_name=path) as context:
        shown = verb.get_help(context)
    for method in verb.calls:
        assert method in shown
    verb.purpose.format(**{parameter.name: "x" for parameter in verb.params})


@pytest.mark.parametrize("path", [path for path in VERBS if path.rpartition(" ")[2] in ("list", "show")])
def test_what_shows_can_show_it_again(path: str) -> None:
    """Every list, and every object that is shown, has JSON and is watched."""
    assert {"--json", "--watch"} <= {name for parameter in VERBS[path].params for name in parameter.opts}


def test_nouns_have_the_usual_verbs() -> None:
    """What can be listed can be shown, by a noun whose help is in the list of commands."""
    for name in COMMANDS:
        command = dict(commands())[name]
        if isinstance(command, Noun) and "list" in command.commands and name != "foreign":
            assert "show" in command.commands, name
    for name, meant in ALIASES.items():
        assert meant in COMMANDS
        assert name not in COMMANDS


def test_every_code_has_a_class() -> None:
    """Each error of VDS has an exit status; those without one of their own are failures of the daemon or the kernel."""
    symbols = {code.name for code in Hresult if code.failed}
    assert errors.CLASSES.keys() <= symbols
    assert symbols - errors.CLASSES.keys() == {
        "E_FAIL",
        "E_UNEXPECTED",
        "VDS_E_INTERNAL_ERROR",
        "VDS_E_INITIALIZED_FAILED",
        "VDS_E_PROVIDER_FAILURE",
    }
    assert set(errors.CLASSES.values()) <= errors.STATUSES.keys()


def test_hints_and_types_are_the_apis() -> None:
    """The keys of hints, and the types of LUNs, are those that the API knows."""
    fields = {field.encode_name: field.type for field in msgspec.structs.fields(model.Hints2)}
    assert fields.keys() == set(hints.KEYS)
    switches = {name for name, type in fields.items() if bool in getattr(type, "__args__", ())}
    assert switches == {*hints.SWITCHES, *hints.SWITCHES2}
    assert set(TYPES) <= {type.value for type in model.LunType}
