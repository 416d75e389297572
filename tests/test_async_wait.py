"""What no timing may upset in Async.Wait."""

import asyncio
from types import SimpleNamespace
from typing import Any, cast

from vdsprovd.hresult import Hresult
from vdsprovd.model import AsyncOutputType
from vdsprovd.operations import Operation
from vdsprovd.provider.async_operation import Async
from vdsprovd.replies import WaitReply
from vdsprovd.varlink import Last


def test_an_operation_that_ends_while_its_progress_is_sent_is_reported() -> None:
    """A stream of Async.Wait ends, also when the operation did while a reply was on its way."""

    async def story() -> None:
        operation = Operation(AsyncOutputType.ADD_PORTAL, "subject")
        operations = SimpleNamespace(find=lambda _id: operation)
        interface = Async(cast(Any, SimpleNamespace(operations=operations)))
        replies = interface.wait(operation.id, call=cast(Any, SimpleNamespace(more=True)))
        assert await anext(replies) == WaitReply(0)
        operation.finish(Hresult.S_OK)
        async with asyncio.timeout(5):
            last = await anext(replies)
        assert isinstance(last, Last)

    asyncio.run(story())
