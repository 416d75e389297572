"""`vdsprovctl --host a,b ...`: the same command at several hosts at once."""

import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from typing import IO

import click
import msgspec

from vdsprovd.cli import errors

_JSON = ("--json", "call", "--more")
"""What in a command line makes it print JSON."""


def on_each(hosts: Sequence[str], options: Sequence[str], arguments: Sequence[str]) -> int:
    """Run a command at each host, all at the same time; gives 0, or the exit status of the first host where it failed.

    Lines are told apart by the host's name before them; JSON becomes one line for each of a host's: an object with `host`
    and `value`. Nobody is asked anything.
    """
    width = max(map(len, hosts))
    as_json = not set(_JSON).isdisjoint(arguments)
    columns = str(max(20, shutil.get_terminal_size().columns - width - 3))
    printing = threading.Lock()
    running, readers = [], []
    for host in hosts:
        process = subprocess.Popen(
            [sys.executable, "-m", "vdsprovd.cli", "--host", host, *options, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=os.environ | {"COLUMNS": columns},
        )
        running.append(process)
        assert process.stdout and process.stderr
        for source, err in ((process.stdout, False), (process.stderr, True)):
            head = f"{host:<{width}} | ".encode()
            readers.append(
                threading.Thread(target=_print, args=(source, host, head, as_json and not err, err, printing))
            )
    for reader in readers:
        reader.start()
    try:
        statuses = [process.wait() for process in running]
    except KeyboardInterrupt:
        # They have been told by the terminal, too.
        statuses = [process.wait() for process in running]
    for reader in readers:
        reader.join()
    for host, status in zip(hosts, statuses, strict=True):
        if status:
            errors.note(f"{host}: exit status {status}")
    return next(filter(None, statuses), errors.OK)


def _print(source: IO[bytes], host: str, head: bytes, as_json: bool, err: bool, printing: threading.Lock) -> None:
    for lines in _whole_lines(source):
        with printing:
            for line in lines:
                told = msgspec.json.encode({"host": host, "value": msgspec.Raw(line)}) if as_json else head + line
                click.echo(told, err=err)


def _whole_lines(source: IO[bytes]) -> Iterator[list[bytes]]:
    """What has come of a program's output, as far as it is whole lines: those that came together stay together."""
    rest = b""
    while data := os.read(source.fileno(), 1 << 16):
        *lines, rest = (rest + data).split(b"\n")
        if lines:
            yield lines
    if rest:
        yield [rest]
