"""targetcli: a process for each command, all commands in one, and its daemon."""

import os
import signal
import socket
import struct
import subprocess
import time
from pathlib import Path
from time import perf_counter

from benchmark.contenders import SIZE, Cost, Work
from benchmark.figures import peak, processor

SOCKET = "/var/run/targetclid.sock"
SAVE = "/ saveconfig"


def _commands(work: Work, target: str, number: int) -> list[str]:
    """What makes a LUN. targetcli maps it for every ACL of the target by itself."""
    name = f"lun-{number}"
    return [
        f"/backstores/fileio create {name} {work.file(number)} {SIZE} write_back=false",
        f"/iscsi/{target}/tpg1/luns create /backstores/fileio/{name}",
    ]


def _check(work: Work) -> None:
    """What it says of errors is for people: whether it has done its work is seen from what there is."""
    missing = [
        number for _, number in work.each() if not list(Path("/sys/kernel/config/target/core").glob(f"*/lun-{number}"))
    ]
    if missing or work.new_targets:
        raise RuntimeError(f"targetcli has not made the LUNs {missing}")


class OneShot:
    """A process for each command, one of which saves."""

    name = "targetcli, one-shot"
    luns = 3

    def do(self, work: Work, patience: float) -> Cost:
        """Three processes a LUN."""
        cost = Cost()
        deadline = perf_counter() + patience
        for target, number in work.each():
            begun = perf_counter()
            for command in [*_commands(work, target, number), SAVE]:
                _run(["targetcli", *command.split()], "", deadline, cost)
            cost.seconds.append(perf_counter() - begun)
        _check(work)
        cost.total = sum(cost.seconds)
        return cost


class Batch:
    """All commands on the standard input of one process, which saves when it ends."""

    name = "targetcli, batch"
    luns = 20

    def do(self, work: Work, patience: float) -> Cost:
        """One process."""
        cost = Cost()
        begun = perf_counter()
        lines = [line for target, number in work.each() for line in _commands(work, target, number)]
        _run(["targetcli"], "\n".join([*lines, "exit\n"]), begun + patience, cost)
        _check(work)
        cost.total = perf_counter() - begun
        cost.seconds = [cost.total / work.luns / len(work.targets)] * work.luns * len(work.targets)
        return cost


def _run(command: list[str], text: str, deadline: float, cost: Cost) -> None:
    """Run a command to its end, and add what it used."""
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    assert process.stdin
    process.stdin.write(text.encode())
    process.stdin.close()
    while not (ended := os.wait4(process.pid, os.WNOHANG))[0]:
        if perf_counter() > deadline:
            process.kill()
            process.wait()
            raise TimeoutError
        time.sleep(0.005)
    process.returncode = os.waitstatus_to_exitcode(ended[1])
    cost.processor += ended[2].ru_utime + ended[2].ru_stime
    cost.peak = max(cost.peak, ended[2].ru_maxrss / 1024)


class Targetclid:
    """targetclid, spoken to without targetcli: what its start costs is left out."""

    name = "targetclid"
    luns = 10

    def do(self, work: Work, patience: float) -> Cost:
        """Three commands a LUN, one of which saves, on one connection."""
        cost = Cost()
        deadline = perf_counter() + patience
        process = subprocess.Popen(["targetclid"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            connection = _connect(deadline)
            used = processor(process.pid)
            for target, number in work.each():
                begun = perf_counter()
                connection.settimeout(max(0.1, deadline - begun))
                _call(connection, "%".join(["cd /", *_commands(work, target, number), SAVE]))
                cost.seconds.append(perf_counter() - begun)
            cost.processor, cost.peak = processor(process.pid) - used, peak(process.pid)
            connection.sendall(b"-END@OF@DATA-")
            connection.close()
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()
        _check(work)
        cost.total = sum(cost.seconds)
        return cost


def _connect(deadline: float) -> socket.socket:
    while True:
        connection = socket.socket(socket.AF_UNIX)
        try:
            connection.connect(SOCKET)
        except OSError:
            connection.close()
            if perf_counter() > deadline:
                raise TimeoutError from None
            time.sleep(0.02)
        else:
            return connection


def _call(connection: socket.socket, command: str) -> str:
    """Have a command done; gives what it says."""
    connection.sendall(command.encode())
    (length,) = struct.unpack("i", _exactly(connection, 4))
    return _exactly(connection, length).decode()


def _exactly(connection: socket.socket, length: int) -> bytes:
    received = b""
    while len(received) < length:
        if not (more := connection.recv(length - len(received))):
            raise ConnectionResetError("targetclid has closed the connection")
        received += more
    return received
