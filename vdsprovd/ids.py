"""Objects' ids: random UUIDs (RFC 9562, version 4), as a VDS_OBJECT_ID is one."""

import os
import uuid
from collections import deque

_TOGETHER = 64
"""Ids that are made of what the kernel gives at once: it takes longer to ask it than to make one."""
_BYTES = 16
_ready: deque[str] = deque()
os.register_at_fork(after_in_child=_ready.clear)


def new_id() -> str:
    """An id that nothing has. Safe in any thread."""
    while True:
        try:
            return _ready.popleft()
        except IndexError:
            random = os.urandom(_TOGETHER * _BYTES)
            _ready.extend(
                str(uuid.UUID(bytes=random[start : start + _BYTES], version=4))
                for start in range(0, len(random), _BYTES)
            )
