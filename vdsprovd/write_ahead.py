"""Damage to SQLite's log (https://sqlite.org/fileformat2.html#walformat), which SQLite takes for the end of the log.

A crash leaves the newest changes in the log. SQLite reads it up to the first frame whose checksum is wrong, and forgets
what comes after: right after a power cut, which tears at most the one transaction that nobody was told of yet. Each
transaction is on the disk before the next begins, so where two of them come after such a frame, it was whole once.
"""

import struct
from pathlib import Path

_HEADER, _FRAME_HEADER = 32, 24
_MAGIC = 0x377F0682
"""With its last bit set, the checksums are of big-endian words."""
_WORD = 0xFFFFFFFF


def damage(log: Path) -> str:
    """What is wrong with the log of a database that nobody has open, "" for nothing."""
    try:
        data = log.read_bytes()
    except FileNotFoundError:
        return ""
    if len(data) < _HEADER:
        return ""
    magic, _, page, _, salt, other_salt, *given = struct.unpack(">8I", data[:_HEADER])
    length = _FRAME_HEADER + page
    order = ">" if magic & 1 else "<"
    checksum = _checksum(data[: _HEADER - 8], (0, 0), order)
    whole = magic & ~1 == _MAGIC and list(checksum) == given
    if not whole:
        # Torn while it was written, or damaged: then what follows is still its own.
        own = data[_HEADER + 8 : _HEADER + 16]
        follows = len(own) == 8 and any(own[at : at + 4] == data[16 + at : 20 + at] for at in (0, 4))
        return "the header of its log is not what was written" if follows else ""
    commits = 0
    for start in range(_HEADER, len(data) - length + 1, length):
        header = data[start : start + _FRAME_HEADER]
        _, size, *salts, first, second = struct.unpack(">6I", header)
        if salts != [salt, other_salt]:
            if whole:
                whole = False  # the end, or what was there of another log; or a frame that is damaged
            continue
        if whole:
            checksum = _checksum(header[:8] + data[start + _FRAME_HEADER : start + length], checksum, order)
            whole = checksum == (first, second)
        if not whole and size:
            commits += 1
    return "a part of its log is not what was written, and changes follow it" if commits > 1 else ""


def _checksum(data: bytes, before: tuple[int, int], order: str) -> tuple[int, int]:
    first, second = before
    words = iter(struct.unpack(f"{order}{len(data) // 4}I", data))
    for word, other in zip(words, words, strict=True):
        first = (first + word + second) & _WORD
        second = (second + other + first) & _WORD
    return first, second
