"""`vdsprovctl call`: any method of the API, with JSON in and out."""

import sys
from typing import Any

import click
import msgspec

from vdsprovd.cli import errors, waiting
from vdsprovd.cli.output import print_json
from vdsprovd.cli.session import Session
from vdsprovd.client import hresult


@click.command(
    epilog="""\b
Examples:
  vdsprovctl call HwProvider.QuerySubSystems
  vdsprovctl call Lun.SetMask '{"id": "...", "unmaskingList": "*"}'
  vdsprovctl call SubSystem.CreateLun --wait \\
    '{"id": "...", "type": "default", "sizeInBytes": 1073741824}'
  vdsprovctl call IscsiTarget.SetSharedSecret - < secret.json"""
)
@click.argument("method")
@click.argument("parameters", nargs=-1, metavar="[JSON]")
@click.option("--more", is_flag=True, help="Ask for all replies and print each on a line, as they come.")
@click.option("--wait", is_flag=True, help="Wait for the operation that the reply names, and print its result.")
@click.pass_obj
def call(session: Session, method: str, parameters: tuple[str, ...], more: bool, wait: bool) -> None:
    """Call METHOD with the parameters in JSON, and print the reply as JSON.

    METHOD is an interface and its method, such as Lun.GetProperties; org.vdsprov is put in front. A full name, such as
    org.varlink.service.GetInfo, stays as it is.

    JSON is an object; without it there are no parameters. "-" reads it from standard input: give CHAP secrets in
    this way, because every user of the host can read the arguments of a running command.

    The reply is indented on a terminal and takes one line elsewhere. With --wait, progress is shown on a terminal, and
    an operation that fails makes the command fail. A method without an operation is done when it replies: that reply
    is printed then.
    """
    if method.count(".") == 0:
        raise click.UsageError(f"{method!r} is no method: write Interface.Method, such as Lun.GetProperties")
    if more and wait:
        raise click.UsageError("--more and --wait do not go together")
    arguments = _parameters(parameters)
    with errors.cannot(f"call {method}"):
        client = session.client
        if more:
            for reply in client.stream(method, **arguments):
                print_json(reply, pretty=False)
            return
        reply = client.call(method, **arguments)
        if wait and (operation := reply.get("async")):
            if code := reply.get("hresult"):
                # The operation's result has a code of its own, and is all that is printed.
                errors.note(f"{method} answered {hresult(code).name} ({code:#010x})")
            reply = waiting.wait(session, operation, method)
        print_json(reply)


def _parameters(given: tuple[str, ...]) -> dict[str, Any]:
    if len(given) > 1:
        # Says nothing of what was given: there may be a secret in it.
        raise click.UsageError("the parameters are one JSON object; put it in single quotes")
    if not given:
        return {}
    from_stdin = given[0] == "-"
    text = sys.stdin.buffer.read() if from_stdin else given[0].encode(errors="surrogateescape")
    try:
        parameters = msgspec.json.decode(text, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        source = "standard input" if from_stdin else "the argument"
        raise click.UsageError(f"{source} is no JSON object: {error}") from None
    if not from_stdin and _has_secret(parameters):
        errors.warn(
            "every user of this host could read the secret in the arguments; "
            "give the parameters on standard input: vdsprovctl call METHOD -"
        )
    return parameters


def _has_secret(value: Any) -> bool:
    if isinstance(value, dict):
        return any((key.lower().endswith("secret") and inner) or _has_secret(inner) for key, inner in value.items())
    return isinstance(value, list) and any(map(_has_secret, value))
