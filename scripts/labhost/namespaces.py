"""Runs a module of this package inside private mount and process namespaces.

Whatever happens to the lab, the kernel then cleans up: the module is process 1 of its namespace, so its end is the end
of everything that it started, and its mounts are gone with it.
"""

import json
import os
import pwd
import signal
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import NoReturn

from labhost.ending import FORBIDDEN, GUEST_DIED, LabError, say
from labhost.prerequisites import SEARCH_PATH, UNPRIVILEGED, require

Json = dict[str, object]

NAMESPACES = ["unshare", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child"]
MAPPED = ["--user", "--map-root-user", "--map-auto"]  # without root


class Interrupted(BaseException):
    """A signal that ends the lab; no Exception, so that nothing swallows it."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def end_on_signals() -> None:
    def interrupt(number: int, _frame: FrameType | None) -> NoReturn:
        raise Interrupted(number)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        # What the caller has us ignore (nohup, a shell's background job) stays ignored.
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, interrupt)


def check_rights(*, install: bool) -> None:
    """Says why when this machine does not let this user make namespaces."""
    mount = ["mount", "-t", "tmpfs", "lab", "/mnt"]
    if os.geteuid() == 0:
        why = _refusal([*NAMESPACES, *mount])
    else:
        require(UNPRIVILEGED, install=install)
        # First without ids: where there can be no namespace, an unshare that would map ids leaves a process that waits
        # for it, and holds our pipe, for ever.
        why = _refusal([*NAMESPACES, "--user", "true"]) or _refusal([*NAMESPACES, *MAPPED, *mount])
    if not why:
        return
    if os.geteuid() == 0:
        raise LabError(f"root may not make mount and process namespaces here: {why}", FORBIDDEN)
    raise LabError(
        f"this machine does not let you make user namespaces: {why}\n"
        f"     {_reason()}\n"
        "     as root the lab works without them",
        FORBIDDEN,
    )


def _refusal(command: list[str]) -> str:
    """What COMMAND says when it fails."""
    environment = {**os.environ, "PATH": SEARCH_PATH}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else done.stderr.strip() or f"status {done.returncode}"


def _reason() -> str:
    for setting, closed in (
        ("kernel/unprivileged_userns_clone", "0"),
        ("kernel/apparmor_restrict_unprivileged_userns", "1"),
        ("user/max_user_namespaces", "0"),
    ):
        path = Path("/proc/sys", setting)
        if path.exists() and path.read_text().strip() == closed:
            return f"the setting {setting.replace('/', '.')} is {closed}"
    number = str(os.geteuid())
    try:
        user = pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        user = number
    for ranges in ("/etc/subuid", "/etc/subgid"):
        lines = Path(ranges).read_text().splitlines() if Path(ranges).exists() else []
        if not any(line.split(":")[0] in (user, number) for line in lines):
            return f"{ranges} gives {user} no range of ids (usermod --add-subuids and --add-subgids do)"
    return "perhaps the machine is itself a container that forbids it"


def _unshare() -> list[str]:
    return NAMESPACES if os.geteuid() == 0 else [*NAMESPACES, *MAPPED]


def run_inside(module: str, task: Json) -> int:
    """Runs MODULE's `inside(task)` in the namespaces, in a session of its own; returns its status."""
    # The lifeline: the inner process reads it and ends when it closes, which also happens when this process is killed.
    theirs, ours = os.pipe()
    package = Path(__file__).resolve().parent
    environment = {**os.environ, "PATH": SEARCH_PATH, "PYTHONPATH": str(package.parent)}
    inner = subprocess.Popen(
        [*_unshare(), sys.executable, "-m", __name__, module, str(theirs), json.dumps(task)],
        pass_fds=[theirs],
        env=environment,
        # Ctrl-C reaches this process only, which then ends the other side in order.
        start_new_session=True,
    )
    os.close(theirs)
    try:
        return inner.wait()
    finally:
        os.close(ours)
        if inner.returncode is None:
            try:
                inner.wait(10)
            except subprocess.TimeoutExpired:
                inner.kill()
                inner.wait()


def enter(inside: Callable[[Json], int], lifeline: int, task: Json) -> int:
    """The inner side of run_inside."""
    os.set_inheritable(lifeline, False)

    def watch() -> None:
        os.read(lifeline, 1)
        os._exit(137)

    threading.Thread(target=watch, daemon=True).start()
    # The outer /proc knows none of our process ids. Some containers forbid a new one; most of the lab does without.
    subprocess.run(["mount", "-t", "proc", "proc", "/proc"], stderr=subprocess.DEVNULL, check=False)
    return inside(task)


def main() -> int:
    from importlib import import_module  # noqa: PLC0415 -- only the inner side needs it

    name, lifeline, task = sys.argv[1:]
    try:
        return enter(import_module(name).inside, int(lifeline), json.loads(task))
    except LabError as error:
        say(str(error))
        return error.status
    except Exception:
        traceback.print_exc()
        return GUEST_DIED


if __name__ == "__main__":
    # Nothing may linger, not even a thread: this is process 1.
    status = main()
    sys.stdout.flush()
    os._exit(status)
