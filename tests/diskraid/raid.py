"""Runs `vdsprovctl diskraid` on an array, with scripts."""

import io
import subprocess
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

from tests.arrays import SimulatedArray
from vdsprovd.cli.__main__ import main


class Raid:
    """DiskRAID's language on an array's socket."""

    def __init__(self, array: SimulatedArray, folder: Path) -> None:
        self.array = array
        self.folder = folder

    def script(self, *lines: str, options: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
        """Run a script of these lines, with array2 selected before them."""
        return self.run("\r\n".join(("select subsystem 2", *lines)).encode(), *options)

    def run(self, text: bytes, *options: str) -> subprocess.CompletedProcess[str]:
        """Run a script of these bytes, in this process."""
        file = self.folder / "script.txt"
        file.touch(0o600)
        file.write_bytes(text)
        return self.call("/s", str(file), *options)

    def call(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run `vdsprovctl diskraid` in this process."""
        out, err = io.StringIO(), io.StringIO()
        with redirect_stdout(out), redirect_stderr(err):
            status = main(["--socket", str(self.array.socket), "diskraid", *arguments])
        return subprocess.CompletedProcess(arguments, status, out.getvalue(), err.getvalue())

    def shows(self, *lines: str) -> list[str]:
        """Run a script of these lines, which must succeed, and give the lines that it prints, without empty ones."""
        done = self.script(*lines)
        assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
        shown = [line for line in done.stdout.splitlines() if line.strip()]
        assert shown.pop(0) == "Subsystem 2 is now the selected subsystem."
        return shown

    def fails(self, status: int, *lines: str) -> str:
        """Run a script of these lines, which must stop at the last one with that status, and give what it prints."""
        done = self.script(*lines)
        assert done.returncode == status, done.stdout + done.stderr
        assert f"stopped at line {len(lines) + 1} (exit status {status})" in done.stderr
        return done.stdout

    def detail(self, what: str, *before: str) -> dict[str, list[str]]:
        """What DETAIL tells, by its labels, after the lines before it."""
        shown = self.shows(*before, f"detail {what}")
        found: dict[str, list[str]] = {}
        label = ""
        for line in shown:
            label_part, colon, value = line.partition(" :")
            if colon and not line.startswith("   "):
                label = label_part.strip()
                found[label] = [value.strip()]
            elif label and line.startswith("   "):
                found[label].append(line.strip())
        return found

    def state(self) -> dict[str, object]:
        """What can be changed, and is not to be by what fails: all LUNs, targets, drives and subsystems."""
        client = self.array
        return {
            name: [
                client.call("SubSystem.GetProperties", id=id),
                client.call("SubSystem.QueryLuns", id=id),
                client.call("SubSystem.QueryDrives", id=id),
                client.call("SubSystemIscsi.QueryTargets", id=id),
                client.call("SubSystemIscsi.QueryPortals", id=id),
            ]
            for name, id in self.array.sub_systems().items()
        }
