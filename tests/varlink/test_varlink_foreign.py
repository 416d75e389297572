"""Another implementation's client, `varlink` 31 from PyPI, against our server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import varlink
from varlink_sample import NAME, serving_in_thread


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
    assert [len(reply["numbers"]) for reply in sample.List(250, _more=True)] == [100, 100, 50]
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
