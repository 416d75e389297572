"""One client's connection: reads calls, answers them in order, and notices when the client goes away.

Two things hold throughout. Nothing a client does or omits makes the server keep more than a bounded amount for it. And
reading goes on while a call runs, because the end of the stream is how a vanished client shows.
"""

from __future__ import annotations

import asyncio
import logging
import select
from collections import deque
from collections.abc import Callable, Coroutine, Iterator
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import msgspec

from vdsprovd.varlink.call import Call, Peer
from vdsprovd.varlink.framing import Frames
from vdsprovd.varlink.interface import Last, More, VarlinkError
from vdsprovd.varlink.message import CallMessage, MalformedError, encode_error, encode_reply, read_call
from vdsprovd.varlink.parameters import InvalidParameterError
from vdsprovd.varlink.routes import Kind, Route
from vdsprovd.varlink.service_interface import expected_more, method_not_implemented

if TYPE_CHECKING:
    from vdsprovd.varlink.server import Service

_log = logging.getLogger(__name__)

_Batches = Iterator[tuple[msgspec.Struct, bool]]
_Answer = Callable[[Route, Call, Any], Coroutine[Any, Any, None]]

# How long one connection may keep the loop before others get their turn.
_TURN = 0.002
# How often a connection whose reading is paused is looked at.
_LOOK = 1.0


class Connection(asyncio.BufferedProtocol):
    """A client's connection, from accept to close."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._buffer = service.buffer
        self._frames = Frames(service.max_message)
        self._waiting: deque[bytes] = deque()
        # The call that is being answered, unless it is answered at once.
        self._task: asyncio.Task[None] | None = None
        self._writable = asyncio.Event()
        self._writable.set()
        self._reading = True
        self._closing = False
        self._turn_ended = False
        self._stall_timer: asyncio.TimerHandle | None = None
        self._look_timer: asyncio.TimerHandle | None = None
        self.peer: Peer | None = None

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the peer's credentials and see whether there is room for it."""
        assert isinstance(transport, asyncio.Transport)
        self._loop = asyncio.get_running_loop()
        self._transport = transport
        self._socket = transport.get_extra_info("socket")
        try:
            peer = Peer.of(self._socket)
        except OSError as error:
            _log.warning("cannot read the credentials of a client: %s", error)
            transport.abort()
            return
        if self._service.admit(self, peer):
            self.peer = peer
        else:
            transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Cancel the running call: nobody waits for its answer any more."""
        self._closing = True
        self._waiting.clear()
        for timer in (self._stall_timer, self._look_timer):
            if timer is not None:
                timer.cancel()
        if self._task is not None:
            self._task.cancel()
        self._service.forget(self)

    def get_buffer(self, sizehint: int) -> memoryview:
        """Where to read to: nothing happens between this and `buffer_updated`, so one buffer does for all."""
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Queue the calls that have arrived, and answer."""
        self._waiting.extend(self._frames.feed(bytes(self._buffer[:nbytes])))
        self._proceed()

    def pause_writing(self) -> None:
        """The client does not keep up; it has some time to do so."""
        self._writable.clear()
        self._watch_stall()

    def resume_writing(self) -> None:
        """The client has caught up."""
        self._writable.set()
        if self._stall_timer is not None and not self._closing:
            self._stall_timer.cancel()
            self._stall_timer = None
        self._proceed()

    # What the service calls.

    def close(self) -> None:
        """Cancel the running call and close, after what has been written is on its way."""
        if self._closing:
            return
        self._closing = True
        self._waiting.clear()
        if self._task is not None:
            self._task.cancel()
        self._transport.close()
        self._watch_stall()

    def abort(self) -> None:
        """Close at once."""
        self._closing = True
        self._transport.abort()

    # Reading.

    def _proceed(self) -> None:
        """Answer waiting calls, until one takes time, the client stops reading, or others must have their turn."""
        waiting = self._waiting
        end_of_turn = 0.0
        while waiting and self._task is None and self._writable.is_set() and not self._turn_ended:
            self._answer(waiting.popleft())
            if waiting:
                now = self._loop.time()
                if not end_of_turn:
                    end_of_turn = now + _TURN
                elif now > end_of_turn:
                    self._turn_ended = True
                    self._loop.call_soon(self._next_turn)
        if self._closing:
            return
        if self._frames.too_long and not waiting and self._task is None:
            _log.warning(
                "closed the connection of process %s: a call has more than %d bytes",
                self.peer and self.peer.pid,
                self._frames.limit,
            )
            self.close()
        elif self._reading and len(waiting) > self._service.max_pipeline:
            self._reading = False
            self._transport.pause_reading()
            self._look_timer = self._loop.call_later(_LOOK, self._look)
        elif not self._reading and len(waiting) <= self._service.max_pipeline // 2:
            self._reading = True
            self._transport.resume_reading()
            if self._look_timer is not None:
                self._look_timer.cancel()

    def _next_turn(self) -> None:
        self._turn_ended = False
        self._proceed()

    def _look(self) -> None:
        # While reading is paused asyncio does not see that the client has gone.
        poll = select.poll()
        poll.register(self._socket.fileno(), select.POLLRDHUP)
        if poll.poll(0):
            self.abort()
        else:
            self._look_timer = self._loop.call_later(_LOOK, self._look)

    # Answering.

    def _answer(self, message: bytes) -> None:
        """Answer one call, or start a task that does."""
        try:
            header = read_call(message)
        except MalformedError:
            # Varlink has no answer to what is no call.
            self.close()
            return
        assert self.peer is not None
        call = Call(self.peer, header.method, bool(header.more), bool(header.oneway), self._loop.time())
        try:
            route = self._route(call, header)
            parameters = route.read(header.parameters)
            if route.kind is Kind.SYNC:
                reply = route.method.handler(call, parameters)
                if rest := self._send_first(route, call, reply):
                    self._start(self._send_rest, route, call, rest)
                else:
                    self._answered(call)
            elif route.kind is Kind.COROUTINE:
                self._start(self._send_result, route, call, parameters)
            else:
                self._start(self._send_stream, route, call, parameters)
        except MalformedError:
            self.close()
        except VarlinkError as error:
            self._send_error(call, error)
        except InvalidParameterError as error:
            self._send_error(call, self._service.refuse(call, error))
        except Exception as error:
            self._failed(call, error)

    def _route(self, call: Call, header: CallMessage) -> Route:
        """Find the method; raises VarlinkError where it may not be called, or not like this."""
        route = self._service.route(call.method)
        self._service.authorize(call.peer, route.method)
        if header.upgrade:
            raise method_not_implemented(call.method)
        if route.method.more is More.REQUIRED and not call.more:
            raise expected_more()
        return route

    def _start(self, answer: _Answer, route: Route, call: Call, argument: Any) -> None:
        self._task = self._loop.create_task(self._guard(answer, route, call, argument))
        self._task.add_done_callback(self._done)
        self._service.running(self._task)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._task = None
        if task.cancelled() or task.exception() is not None:
            # Also when the handler cancelled itself: its caller must not wait for ever.
            self.close()
        else:
            self._proceed()

    async def _guard(self, answer: _Answer, route: Route, call: Call, argument: Any) -> None:
        try:
            await answer(route, call, argument)
        except VarlinkError as error:
            self._send_error(call, error)
        except Exception as error:
            self._failed(call, error)
        else:
            self._answered(call)

    async def _send_result(self, route: Route, call: Call, parameters: Any) -> None:
        reply = await route.method.handler(call, parameters)
        if rest := self._send_first(route, call, reply):
            await self._send_rest(route, call, rest)

    def _send_first(self, route: Route, call: Call, reply: msgspec.Struct) -> _Batches | None:
        """Send a reply, or the first batch of it; gives what makes the others. Raises VarlinkError where more than one is
        needed and that was not asked for."""
        if route.array is None:
            self._send(call, reply, continues=False)
            return None
        batches = route.batches(reply, call.more)
        batch, continues = next(batches)
        if continues and not call.more:
            raise expected_more()
        self._send(call, batch, continues)
        return batches if continues else None

    async def _send_rest(self, route: Route, call: Call, batches: _Batches) -> None:
        since = await self._give_way(self._loop.time())
        for batch, continues in batches:
            self._send(call, batch, continues)
            since = await self._give_way(since)

    async def _send_stream(self, route: Route, call: Call, parameters: Any) -> None:
        since = self._loop.time()
        async with aclosing(route.method.handler(call, parameters)) as replies:
            async for reply in replies:
                last = isinstance(reply, Last)
                self._send(call, reply.reply if last else reply, continues=call.more and not last)
                if last or not call.more:
                    return
                since = await self._give_way(since)
        if not route.may_end_empty:
            raise TypeError(f"the stream of {call.method} ended without Last(reply)")
        self._write(call, encode_reply({}))

    async def _give_way(self, since: float) -> float:
        """Wait until the client keeps up, and let others have their turn; `since` is when they last had."""
        if not self._writable.is_set():
            await self._writable.wait()
        elif self._loop.time() - since > _TURN:
            # A stream that always has its next reply ready would otherwise hold up everybody else.
            await asyncio.sleep(0)
        else:
            return since
        return self._loop.time()

    # Writing.

    def _send(self, call: Call, reply: msgspec.Struct, continues: bool) -> None:
        self._write(call, encode_reply(reply, continues))

    def _send_error(self, call: Call, error: VarlinkError) -> None:
        try:
            message = encode_error(error)
        except Exception:
            _log.exception("cannot send the error of %s", call.method)
            self.close()
        else:
            self._write(call, message)
            self._answered(call, error)

    def _answered(self, call: Call, error: VarlinkError | None = None) -> None:
        if self._service.answered is not None:
            self._service.answered(call, self._loop.time() - call.began, error)

    def _write(self, call: Call, message: bytes) -> None:
        if not call.oneway and not self._transport.is_closing():
            self._transport.write(message)

    def _failed(self, call: Call, error: Exception) -> None:
        """Answer a call whose handler has a bug."""
        try:
            answer = self._service.unexpected(call.method, error)
        except Exception:
            _log.exception("cannot answer %s", call.method)
            answer = None
        if answer is None:
            self.close()
        else:
            self._send_error(call, answer)

    def _watch_stall(self) -> None:
        if self._stall_timer is None:
            size = self._transport.get_write_buffer_size()
            self._stall_timer = self._loop.call_later(self._service.write_timeout, self._stalled, size)

    def _stalled(self, size: int) -> None:
        self._stall_timer = None
        if self._transport.get_write_buffer_size() >= size:
            _log.info("closed the connection of process %s: it does not read", self.peer and self.peer.pid)
            self.abort()
        else:
            self._watch_stall()
