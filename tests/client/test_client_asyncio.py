"""The client for asyncio, against a daemon."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import aclosing

import pytest

from tests.arrays import MIB, SimulatedArray
from tests.daemon import SimulatedProcess
from vdsprovd.client import AsyncClient, Hresult, Unreachable, VdsError
from vdsprovd.client.aio import CALLS
from vdsprovd.model import LunType


def run(simulated: SimulatedArray, test: Callable[[AsyncClient], Awaitable[None]]) -> None:
    """Run the test with a client, and see that it leaves no connection."""

    async def main() -> None:
        async with AsyncClient(simulated.socket) as vds:
            await test(vds)
            assert len(vds._connections) == len(vds._idle)

    asyncio.run(main(), debug=True)


def test_the_main_job(simulated: SimulatedArray) -> None:
    """A LUN is made, with its progress, awaited, changed and deleted."""

    async def test(vds: AsyncClient) -> None:
        array = vds.sub_system(simulated.sub_system)
        operation = await array.create_lun(LunType.SIMPLE, MIB, unmasking_list="*")
        percentages = [percent async for percent in operation]
        assert percentages == sorted(percentages)
        assert percentages[-1] == 100
        lun = vds.lun((await operation).object)
        assert (await lun.get_properties()).properties.unmasking_list == "*"
        assert [entry.id async for entry in array.query_luns()] == [lun.id]
        assert (await operation.query_status()).percent_completed == 100
        await lun.delete()
        with pytest.raises(VdsError) as gone:
            await lun.get_properties()
        assert gone.value.code is Hresult.VDS_E_OBJECT_DELETED
        with pytest.raises(VdsError) as late:
            await operation.cancel()
        assert late.value.code is Hresult.VDS_E_CANCEL_TOO_LATE

    run(simulated, test)


def test_many_at_once(simulated: SimulatedArray) -> None:
    """A thousand calls at once take a few connections, and each gets its own answer."""

    async def test(vds: AsyncClient) -> None:
        array = vds.sub_system(simulated.sub_system)
        operations = await asyncio.gather(*(array.create_lun(LunType.SIMPLE, (n + 1) * MIB) for n in range(10)))
        luns = [(await operation).object for operation in operations]
        replies = await asyncio.gather(*(vds.lun(lun).get_properties() for lun in luns * 100))
        assert [reply.properties.id for reply in replies] == luns * 100
        assert len(vds._connections) <= CALLS

    run(simulated, test)


def test_calls_inside_a_stream(simulated: SimulatedArray) -> None:
    """While LUNs are iterated over, they can be asked; to leave the loop leaves no connection."""

    async def test(vds: AsyncClient) -> None:
        luns = {await asyncio.to_thread(simulated.make_lun) for _ in range(3)}
        array = vds.sub_system(simulated.sub_system)
        assert {(await vds.lun(lun.id).get_properties()).properties.id async for lun in array.query_luns()} == luns
        async with aclosing(array.query_luns()) as found:
            async for lun in found:
                assert lun.id in luns
                break
        assert (await vds.call("Lun.GetProperties", id=lun.id))["properties"]["id"] == lun.id

    run(simulated, test)


def test_a_call_that_is_given_up(process: SimulatedProcess) -> None:
    """A timeout ends a call, and the next one gets its own answer."""
    lun = process.make_lun()
    target, _ = process.make_reachable_target()
    process.call("LunIscsi.AssociateTargets", id=lun, targetIds=[target])

    async def test(vds: AsyncClient) -> None:
        with process.slow():
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.2):
                    await vds.lun(lun).set_mask("*")
            assert (await vds.lun(lun).get_properties()).properties.id == lun

    run(process, test)


def test_cancel(simulated: SimulatedArray) -> None:
    """An operation that is cancelled raises that it was."""
    simulated.pool.delay = 1.0

    async def test(vds: AsyncClient) -> None:
        operation = await vds.sub_system(simulated.sub_system).create_lun(LunType.SIMPLE, MIB)
        seen: list[int] = []
        with pytest.raises(VdsError) as cancelled:
            async for percent in operation:
                if not seen:
                    await operation.cancel()
                seen.append(percent)
        assert cancelled.value.code is Hresult.VDS_E_OPERATION_CANCELED
        with pytest.raises(VdsError, match="VDS_E_OPERATION_CANCELED"):
            await operation
        assert seen[0] < 100

    run(simulated, test)


def test_unreachable(simulated: SimulatedArray) -> None:
    """Without a daemon entering says which socket it was; with a client that is closed, calls say so."""

    async def main() -> None:
        with pytest.raises(Unreachable, match=r"no connection .* No such file"):
            async with AsyncClient(simulated.folder / "none"):
                pass
        async with AsyncClient(simulated.socket) as vds:
            pass
        with pytest.raises(Unreachable, match="the client is closed"):
            await vds.provider.get_properties()

    asyncio.run(main())
