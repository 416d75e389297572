"""Cuts a byte stream into messages: each ends with a zero byte. Every byte is looked at and copied a fixed number of
times, however the stream was cut on its way.
"""

from __future__ import annotations


class Frames:
    """Collects what was read and gives back whole messages, without their zero byte."""

    __slots__ = ("_parts", "_size", "limit", "too_long")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        # True once a message has grown over the limit; what follows is not looked at any more.
        self.too_long = False
        # The beginning of a message whose end has not been read yet.
        self._parts: list[bytes] = []
        self._size = 0

    def feed(self, data: bytes) -> list[bytes]:
        """Take what was read and return the messages that are now whole, up to one that is too long."""
        if self.too_long:
            return []
        # The usual case by far: one read is one message.
        if not self._parts and data.find(b"\0") == len(data) - 1 and 0 < len(data) <= self.limit:
            return [data[:-1]]
        messages = data.split(b"\0")
        rest = messages.pop()
        if messages:
            if self._parts:
                self._parts.append(messages[0])
                messages[0] = b"".join(self._parts)
                self._parts = []
                self._size = 0
            for position, message in enumerate(messages):
                if len(message) > self.limit:
                    self.too_long = True
                    return messages[:position]
        if rest:
            self._parts.append(rest)
            self._size += len(rest)
            if self._size > self.limit:
                self.too_long = True
                self._parts = []
        return messages
