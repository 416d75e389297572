"""Programs that were written without us talk to the daemon: one conversation, with each of them.

docs/interfaces.md says what a client has to do. Here other people's do it.
"""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.arrays import MIB, Array, SimulatedArray
from tests.foreign.clients import Asyncvarlink, Compiled, CompiledC, CompiledGo, Foreign, PyPI, Refused, Varlinkctl, go

CHECKOUT = Path(__file__).resolve().parents[2]

LAB = pytest.mark.lab
"""Which has systemd's own, of its newest version, and a compiler."""


GO = pytest.mark.skipif(bool(CompiledGo.missing()), reason=f"there is no {CompiledGo.missing()}")
"""C is compiled everywhere, in the lab; this is half a gigabyte for some seconds."""


@pytest.fixture(
    params=[
        pytest.param((PyPI, "simulated"), id="varlink"),
        pytest.param((Asyncvarlink, "simulated"), id="asyncvarlink"),
        pytest.param((CompiledGo, "simulated"), id="go", marks=GO),
        pytest.param((PyPI, "lio"), id="varlink-lio", marks=LAB),
        pytest.param((Asyncvarlink, "lio"), id="asyncvarlink-lio", marks=LAB),
        pytest.param((Varlinkctl, "lio"), id="varlinkctl-lio", marks=LAB),
        pytest.param((CompiledC, "lio"), id="c-lio", marks=LAB),
    ]
)
def foreign(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Foreign, Array]]:
    """A client of somebody else's, and the daemon that it talks to."""
    kind, fixture = request.param
    array: Array = request.getfixturevalue(fixture)
    if issubclass(kind, Compiled):
        kind.build(tmp_path)
    client = kind(array.socket)
    yield client, array
    if isinstance(client, Asyncvarlink):
        client.close()


def test_conversation(foreign: tuple[Foreign, Array]) -> None:
    """Introspection; an error with its HRESULT; notifications; a LUN by an asynchronous operation; a query with `more`."""
    client, array = foreign

    # Introspection: each interface is there, and can be read.
    published = {path.stem for path in (CHECKOUT / "vdsprovd/interfaces").glob("*.varlink")}
    assert published <= set(client.interfaces())
    for name in published:
        assert f"interface {name}\n" in client.description(name)

    # An error has a name, and the HRESULT with it.
    with pytest.raises(Refused) as refused:
        client.call("SubSystemImportTarget.GetImportTarget", id=array.sub_system)
    assert refused.value.name == "org.vdsprov.NoImportTarget"
    assert refused.value.parameters["hresult"] == 0x80042713
    assert refused.value.parameters["symbol"] == "VDS_E_NO_IMPORT_TARGET"
    assert "import target" in refused.value.parameters["message"]

    # A parameter that is null is one that is not given; there are optional ones that are.
    client.call("SubSystemImportTarget.SetImportTarget", id=array.sub_system, iscsiName="iqn.2026-11.org.example:a")
    found = client.call("SubSystemImportTarget.GetImportTarget", id=array.sub_system, computer=None)
    assert found == {"iscsiName": "iqn.2026-11.org.example:a"}

    with client.replies("Service.Advise") as notifications:
        assert next(notifications)["established"] is True

        # An operation: its id, then its progress, then its result with what it made.
        started = client.call("SubSystem.CreateLun", id=array.sub_system, type="simple", sizeInBytes=MIB)
        with client.replies("Async.Wait", id=started["async"]) as replies:
            waited = list(replies)
        assert waited[-1]["hresult"] == 0
        assert waited[-1]["percentCompleted"] == 100
        lun = waited[-1]["object"]

        # Whoever listens is told.
        told: set[tuple[str, str]] = set()
        while ("lun_arrive", lun) not in told:
            told |= {(entry["event"], entry["id"]) for entry in next(notifications)["notifications"]}

    # An operation can be waited for without its progress.
    started = client.call("Lun.Extend", id=lun, numberOfBytesToAdd=MIB)
    assert client.call("Async.Wait", id=started["async"])["hresult"] == 0

    # A listing in parts, and in one.
    luns = {lun} | {array.make_lun(4096) for _ in range(210)}
    with client.replies("SubSystem.QueryLuns", id=array.sub_system) as replies:
        parts = [reply["luns"] for reply in replies]
    assert [len(part) for part in parts] == [10, 200, 1]
    assert {entry["id"] for part in parts for entry in part} == luns
    whole = client.call("SubSystem.QueryLuns", id=array.sub_system)["luns"]
    assert whole == [entry for part in parts for entry in part]
    (made,) = [entry for entry in whole if entry["id"] == lun]
    assert (made["size"], made["type"], made["unmaskingList"]) == (2 * MIB, "simple", "")


def test_what_is_refused(foreign: tuple[Foreign, Array]) -> None:
    """Errors of Varlink itself, and of arguments, are told by their names."""
    client, array = foreign
    with pytest.raises(Refused) as refused:
        client.call("Lun.GetProperties", id="none")
    assert (refused.value.name, refused.value.parameters["object"]) == ("org.vdsprov.ObjectNotFound", "none")
    if not isinstance(client, PyPI):
        # Which finds out by itself that there is no such method.
        with pytest.raises(Refused) as refused:
            client.call("Lun.Explode", id="x")
        assert refused.value.name == "org.varlink.service.MethodNotFound"
    with pytest.raises(Refused) as refused:
        client.call("SubSystem.CreateLun", id=array.sub_system, type="round", sizeInBytes=MIB)
    assert refused.value.name == "org.vdsprov.InvalidArg"
    assert refused.value.parameters["hresult"] == 0x80070057


@GO
def test_generated_bindings(simulated: SimulatedArray, tmp_path: Path) -> None:
    """Go's generator reads every published description, and what it makes compiles and works.

    It wants names of interfaces in lower case, which those of systemd are not either: they are put right afterwards.
    """
    for path in (CHECKOUT / "vdsprovd/interfaces").glob("org.vdsprov.*.varlink"):
        name = path.stem.removeprefix("org.vdsprov.").lower()
        folder = tmp_path / "src/vdsprov" / name
        folder.mkdir(parents=True)
        description = path.read_text().replace(f"\ninterface {path.stem}\n", f"\ninterface org.vdsprov.{name}\n")
        (folder / f"{name}.varlink").write_text(description)
        subprocess.run(["varlink-go-interface-generator", f"{name}.varlink"], cwd=folder, check=True, timeout=30)
        (made,) = folder.glob("*.go")
        made.write_text(made.read_text().replace(f"org.vdsprov.{name}", path.stem))
    go(tmp_path, "build", "./src/vdsprov/...")
    go(tmp_path, "build", "-o", "bindings", str(CHECKOUT / "tests/foreign/bindings.go"))
    command = [str(tmp_path / "bindings"), str(simulated.socket), simulated.sub_system, str(MIB)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    assert (done.stdout, done.stderr) == (f"0 create_lun {MIB} * online\n", "")
