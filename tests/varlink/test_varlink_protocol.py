"""The rules of UAPI.20 for services, one by one, on the bytes."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from tests.varlink.sample import NAME, Raw, call, serving

SERVICE = "org.varlink.service"
CLOSED = None


def error(name: str, **parameters: Any) -> dict[str, Any]:
    full = name if "." in name else f"{SERVICE}.{name}"
    return {"error": full, "parameters": parameters} if parameters else {"error": full}


def invalid(parameter: str) -> dict[str, Any]:
    return error("InvalidParameter", parameter=parameter)


def one(**parameters: Any) -> dict[str, Any]:
    return {"parameters": parameters}


def echo(parameters: str = '{"count":3}', more: str = "") -> bytes:
    return f'{{"method":"{NAME}.Echo","parameters":{parameters}{more}}}'.encode()


NOTHING = f'"method":"{NAME}.Nothing"'

# The rule, the message, what comes back.
RULES: list[tuple[str, bytes, Any]] = [
    ("a call is answered", echo(), one(number=3)),
    ("whitespace outside of strings is accepted", b' \n{ "method" :\t"' + NAME.encode() + b'.Nothing" } ', {}),
    ("absent parameters are no parameters", f"{{{NOTHING}}}".encode(), {}),
    ("null parameters are no parameters", f'{{{NOTHING},"parameters":null}}'.encode(), {}),
    ("empty parameters are no parameters", f'{{{NOTHING},"parameters":{{}}}}'.encode(), {}),
    ("null flags are not set", f'{{{NOTHING},"more":null,"oneway":null,"upgrade":null}}'.encode(), {}),
    ("a null field is an absent one", echo('{"count":3,"point":null}'), one(number=3)),
    ("a null field with another default is an absent one", echo('{"count":3,"color":null}'), one(number=3)),
    ("a null field of a nested object, too", echo('{"count":3,"point":{"x":1,"y":null}}'), one(number=3)),
    ("a required field is not null", echo('{"count":null}'), invalid("count")),
    ("a missing field is refused", echo("{}"), invalid("count")),
    ("an unknown field is refused", echo('{"count":3,"size":1}'), invalid("size")),
    ("a field of the wrong type is refused", echo('{"count":"3"}'), invalid("count")),
    ("an integer has no fraction", echo('{"count":3.5}'), invalid("count")),
    ("a nested field is named by its path", echo('{"count":3,"point":{"x":"1"}}'), invalid("point.x")),
    ("a missing nested field is named by its path", echo('{"count":3,"point":{}}'), invalid("point.x")),
    ("an unknown nested field is named by its path", echo('{"count":3,"point":{"x":1,"z":1}}'), invalid("point.z")),
    ("an unknown enum member is refused", echo('{"count":3,"color":"green"}'), invalid("color")),
    ("integers have 64 bits", echo('{"count":-9223372036854775808}'), one(number=-(2**63))),
    ("unsigned integers have 64 bits", echo('{"count":18446744073709551615}'), one(number=2**64 - 1)),
    ("a method without more replies once", echo(more=',"more":true'), one(number=3)),
    (
        "an unknown interface is refused",
        b'{"method":"org.example.Other.Echo"}',
        error("InterfaceNotFound", interface="org.example.Other"),
    ),
    (
        "an unknown method is refused",
        f'{{"method":"{NAME}.Other"}}'.encode(),
        error("MethodNotFound", method=f"{NAME}.Other"),
    ),
    (
        "an interface is no method",
        f'{{"method":"{NAME}"}}'.encode(),
        error("InterfaceNotFound", interface="org.example"),
    ),
    ("a name without dots is no method", b'{"method":"Echo"}', error("InterfaceNotFound", interface="")),
    (
        "a method that needs more asks for it",
        f'{{"method":"{NAME}.UpToOnly","parameters":{{"count":1}}}}'.encode(),
        error("ExpectedMore"),
    ),
    (
        "an upgrade is refused by an error",
        f'{{{NOTHING},"upgrade":true}}'.encode(),
        error("MethodNotImplemented", method=f"{NAME}.Nothing"),
    ),
    ("a vendor's extension is ignored", f'{{{NOTHING},"org.example":{{"trace":1}}}}'.encode(), {}),
    ("no JSON closes", b"hello", CLOSED),
    ("an empty message closes", b"", CLOSED),
    ("half a message closes", b'{"method":', CLOSED),
    ("two objects in one message close", f"{{{NOTHING}}}{{{NOTHING}}}".encode(), CLOSED),
    ("an array closes", b"[]", CLOSED),
    ("null closes", b"null", CLOSED),
    ("a string closes", b'"x"', CLOSED),
    ("a call without method closes", b"{}", CLOSED),
    ("a method that is no string closes", b'{"method":1}', CLOSED),
    ("an unknown member closes", f'{{{NOTHING},"moar":true}}'.encode(), CLOSED),
    ("a flag that is not boolean closes", f'{{{NOTHING},"more":1}}'.encode(), CLOSED),
    ("two flags close", f'{{{NOTHING},"more":true,"oneway":true}}'.encode(), CLOSED),
    ("parameters that are an array close", f'{{{NOTHING},"parameters":[]}}'.encode(), CLOSED),
    ("parameters that are a number close", f'{{{NOTHING},"parameters":1}}'.encode(), CLOSED),
    ("a method that is not UTF-8 closes", b'{"method":"\xff"}', CLOSED),
    ("parameters that are not UTF-8 close", echo().replace(b"count", b"c\xffunt"), CLOSED),
    ("endless nesting closes", b'{"method":' + b"[" * 100_000, CLOSED),
    ("endless nesting in parameters closes", echo('{"count":' + "[" * 100_000 + "]" * 100_000 + "}"), CLOSED),
    ("a message that is too long closes", echo('{"count":3,"x":"' + "x" * (1 << 20) + '"}'), CLOSED),
]


@pytest.mark.parametrize(("message", "answer"), [rule[1:] for rule in RULES], ids=[rule[0] for rule in RULES])
def test_rule(tmp_path: Path, message: bytes, answer: Any) -> None:
    """The server answers as the specification says, and then goes on, or closes the connection."""

    async def main() -> None:
        async with serving(tmp_path / "s"), Raw.to(tmp_path / "s") as raw:
            assert await raw.ask(message) == answer
            if answer is CLOSED:
                assert await raw.receive() is None
            else:
                assert await raw.ask(echo('{"count":4}')) == one(number=4)

    asyncio.run(main())


@pytest.mark.parametrize(
    "message",
    [
        call("Echo", {"count": 1}, oneway=True),
        call("Later", {"count": 1}, oneway=True),
        call("UpTo", {"count": 1}, oneway=True),
        call("List", {"count": 20_000}, oneway=True),
        call("Fail", {"count": 1}, oneway=True),
        call("Echo", {"count": "x"}, oneway=True),
        call("UpToOnly", {"count": 1}, oneway=True),
        call("Other", oneway=True),
        call("org.example.Other.Method", oneway=True),
    ],
)
def test_oneway_is_never_answered(tmp_path: Path, message: bytes) -> None:
    """A oneway call gets neither reply nor error, so that the next reply is the next call's."""

    async def main() -> None:
        async with serving(tmp_path / "s"), Raw.to(tmp_path / "s") as raw:
            await raw.send(message + call("Echo", {"count": 5}))
            assert await raw.receive() == one(number=5)

    asyncio.run(main())


def test_calls_are_answered_in_order(tmp_path: Path) -> None:
    """Pipelined calls are answered in their order, however long each takes."""

    async def main() -> None:
        async with serving(tmp_path / "s"), Raw.to(tmp_path / "s") as raw:
            await raw.send(
                call("Later", {"count": 50})
                + call("Echo", {"count": 1})
                + call("UpTo", {"count": 2}, more=True)
                + call("Fail", {"count": 2})
                + call("Later", {"count": 0})
            )
            answers = [await raw.receive() for _ in range(7)]
            assert [answer["parameters"].get("number") for answer in answers] == [50, 1, 0, 1, 2, None, 0]
            assert [answer.get("continues") for answer in answers[2:5]] == [True, True, None]

    asyncio.run(main())


def test_calls_before_a_malformed_one_are_answered(tmp_path: Path) -> None:
    """What comes before a message that closes the connection is still answered."""

    async def main() -> None:
        async with serving(tmp_path / "s"), Raw.to(tmp_path / "s") as raw:
            await raw.send(call("Later", {"count": 20}) + call("Echo", {"count": 1}) + b"rubbish\0" + call("Nothing"))
            assert await raw.receive() == one(number=20)
            assert await raw.receive() == one(number=1)
            assert await raw.receive() is None

    asyncio.run(main())


def test_service_interface(tmp_path: Path) -> None:
    """A service tells about itself and describes all its interfaces, its own included."""

    async def main() -> None:
        async with serving(tmp_path / "s"), Raw.to(tmp_path / "s") as raw:
            info = (await raw.ask(call(f"{SERVICE}.GetInfo")[:-1]))["parameters"]
            assert info == {
                "vendor": "Example",
                "product": "Sample",
                "version": "1",
                "url": "https://example.org/",
                "interfaces": [SERVICE, NAME],
            }
            for name in info["interfaces"]:
                answer = await raw.ask(call(f"{SERVICE}.GetInterfaceDescription", {"interface": name})[:-1])
                assert f"\ninterface {name}\n" in answer["parameters"]["description"]
            answer = await raw.ask(call(f"{SERVICE}.GetInterfaceDescription", {"interface": "org.example.No"})[:-1])
            assert answer == error("InterfaceNotFound", interface="org.example.No")

    asyncio.run(main())


def test_declared_error(tmp_path: Path) -> None:
    """An error that a handler raises arrives by name, with its parameters, and without `continues`."""

    async def main() -> None:
        async with serving(tmp_path / "s"), Raw.to(tmp_path / "s") as raw:
            answer = await raw.ask(call("Fail", {"count": 4}, more=True)[:-1])
            assert answer == {"error": f"{NAME}.Failed", "parameters": {"message": "it did not work", "code": 4}}

    asyncio.run(main())


def test_replies_have_no_whitespace(tmp_path: Path) -> None:
    """Messages are written without whitespace outside of strings."""

    async def main() -> None:
        async with serving(tmp_path / "s"), Raw.to(tmp_path / "s") as raw:
            await raw.send(call("List", {"count": 3}))
            message = (await raw.reader.readuntil(b"\0"))[:-1]
            assert message == json.dumps(json.loads(message), separators=(",", ":")).encode()

    asyncio.run(main())
