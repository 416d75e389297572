"""Follows a tutorial, as its reader would: each command of its console blocks in one shell, each Python block as a program.

    python3 follow.py DOCUMENT

What a command prints is to be what stands below it, where "..." stands for anything: within a line, and on a line of its own for
any number of lines, and an id, whole or cut, for any other. A command may fail only where the next one asks for its status, "echo $?". Ends with status 1, and says where,
at the first that is not as it stands there.
"""

import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

END = "-- end of the command --"


@dataclass
class Command:
    """A command of a block, and what stands below it."""

    line: int
    text: str
    expected: list[str] = field(default_factory=list)


def commands(document: str) -> Iterator[Command]:
    """The commands of all console and Python blocks."""
    language, command = "", None
    for number, line in enumerate(document.splitlines(), 1):
        if line.startswith("```"):
            if language == "python" and command:
                command.text += "END_OF_PROGRAM"
            if command:
                yield command
            language, command = ("" if language else line.removeprefix("```").strip()), None
            if language == "python":
                command = Command(number, "python3 - <<'END_OF_PROGRAM'\n", ["..."])
        elif language == "python":
            assert command
            command.text += line + "\n"
        elif language == "console" and line.startswith("$ "):
            if command:
                yield command
            command = Command(number, line[2:])
        elif language == "console" and (line + " ").startswith("> ") and command and not command.expected:
            command.text += "\n" + line[2:]
        elif language == "console":
            assert command, f"line {number} is before the first command"
            command.expected.append(line)


def pattern(expected: list[str]) -> re.Pattern[str]:
    """What the output has to match."""
    parts = [r"(?:.*\n)*" if line == "..." else f"{_line(line.rstrip())}\\s*\n" for line in expected]
    return re.compile("".join(parts) or r"\s*")


def _line(expected: str) -> str:
    pieces = re.split(r"(\.\.\.|\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b|\b[0-9a-f]{8}\b)", expected)
    texts, variable = pieces[::2], pieces[1::2]
    found = [".*" if piece == "..." else "[0-9a-f-]+" for piece in variable]
    return "".join(re.escape(text) + wild for text, wild in zip(texts, [*found, ""], strict=True))


def main() -> int:
    """Follow the document that the arguments name."""
    document = Path(sys.argv[1])
    script = list(commands(document.read_text()))
    assert script, "it has no commands"
    with subprocess.Popen(
        ["bash"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as shell:
        assert shell.stdin and shell.stdout
        for command, after in zip(script, [*script[1:], None], strict=True):
            shell.stdin.write(f"{command.text}\nset -- $?; printf '\\n{END} %d\\n' $1; (exit $1)\n")
            shell.stdin.flush()
            output, status = "", ""
            for line in shell.stdout:
                if line.startswith(END):
                    status = line.split()[-1]
                    break
                output += line
            output = output.removesuffix("\n")
            print(f"$ {command.text}\n{output}", end="", flush=True)
            asked = after is not None and after.text == "echo $?"
            if (status != "0" and not asked) or not pattern(command.expected).fullmatch(output):
                expected = "\n".join(command.expected)
                print(f"\n{document.name}:{command.line}: `{command.text}` ended with status {status}", file=sys.stderr)
                print(f"expected:\n{expected}\nbut it printed:\n{output}", file=sys.stderr)
                return 1
        shell.stdin.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
