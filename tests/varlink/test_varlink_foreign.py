"""Other implementations' clients against our server: `varlink` 31 from PyPI, and systemd's varlinkctl if it is here."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import varlink

from tests.varlink.sample import NAME, serving_in_thread


@pytest.fixture
def sample(tmp_path: Path) -> Iterator[Any]:
    with (
        serving_in_thread(tmp_path / "s"),
        varlink.Client(f"unix:{tmp_path / 's'}") as client,
        client.open(NAME) as connection,
    ):
        yield connection


def test_introspection(tmp_path: Path) -> None:
    """It learns what the service is and what its interfaces hold."""
    with serving_in_thread(tmp_path / "s"), varlink.Client(f"unix:{tmp_path / 's'}") as client:
        with client.open("org.varlink.service") as service:
            info = service.GetInfo()
            assert info["interfaces"] == ["org.varlink.service", NAME]
            assert info["vendor"] == "Example"
        with client.open(NAME) as connection:
            assert hasattr(connection, "EchoEverything")
            assert "What Echo does." in connection.Echo.__doc__


def test_calls(sample: Any) -> None:
    """It calls, with and without optional parameters, and oneway."""
    assert sample.Echo(3) == {"number": 3}
    assert sample.Echo(count=3, color="dark_blue", point={"x": 1}) == {"number": 3}
    sample.Echo(3, _oneway=True)
    assert sample.Later(1) == {"number": 1}
    assert sample.Nothing() == {}


def test_streams(sample: Any) -> None:
    """It reads streams and batches to their end, and calls again on the same connection."""
    assert [reply["number"] for reply in sample.UpTo(3, _more=True)] == [0, 1, 2, 3]
    assert [len(reply["numbers"]) for reply in sample.List(250, _more=True)] == [10, 200, 40]
    assert sample.Echo(3) == {"number": 3}


def test_errors(sample: Any) -> None:
    """It gets errors with their parameters, the protocol's and the interface's."""
    with pytest.raises(varlink.VarlinkError) as failed:
        sample.Fail(7)
    assert failed.value.error() == f"{NAME}.Failed"
    assert failed.value.parameters() == {"message": "it did not work", "code": 7}
    with pytest.raises(varlink.InvalidParameter):
        sample.Echo(count=3, color="green")
    with pytest.raises(varlink.VarlinkError, match="ExpectedMore"):
        sample.UpToOnly(3)


@pytest.mark.lab  # which has varlinkctl
def test_varlinkctl(tmp_path: Path) -> None:
    """systemd's client introspects, calls, streams to the end and shows errors."""

    def run(*arguments: str, ok: bool = True) -> str:
        done = subprocess.run(["varlinkctl", *arguments], check=False, capture_output=True, text=True, timeout=20)
        assert (done.returncode == 0) is ok, done.stderr
        return done.stdout + done.stderr

    with serving_in_thread(tmp_path / "s"):
        path = str(tmp_path / "s")
        assert NAME in run("list-interfaces", path)
        assert "method EchoEverything" in run("introspect", path, NAME)
        assert json.loads(run("call", "-j", path, f"{NAME}.Echo", '{"count":3}')) == {"number": 3}
        replies = run("call", "-j", "--more", path, f"{NAME}.UpTo", '{"count":3}').split("\x1e")
        assert [json.loads(reply)["number"] for reply in replies if reply] == [0, 1, 2, 3]
        assert f"{NAME}.Failed" in run("call", path, f"{NAME}.Fail", '{"count":3}', ok=False)
