"""docs/diskraid.md: what is DiskRAID's, what is ours, and every command."""

from collections.abc import Iterable
from typing import Final

from vdsprovd.diskraid.commands import FORMS
from vdsprovd.diskraid.grammar import Form
from vdsprovd.diskraid.hints import HINTS
from vdsprovd.diskraid.problems import STATUSES

_HEAD: Final = """# DiskRAID's language

Generated from the code by `scripts/diskraid-reference`; do not edit.

`vdsprovctl diskraid` takes the commands of DiskRAID, Windows' program for arrays behind VDS, and calls vdsprovd with
them. Who knows DiskRAID can go on as before, and scripts that were written for it run:

```console
$ vdsprovctl diskraid
DISKRAID> select subsystem 0

Subsystem 0 is now the selected subsystem.

DISKRAID> create lun simple size=100MB

LUN 0 (Simple, 100 MB) was created and is now the selected LUN.
```

At the prompt, Tab completes words and numbers, and the arrows go through what was typed before. The history is kept in
`~/.local/state/vdsprovd/diskraid-history`; lines with a secret are not. Ctrl-C ends what is typed. During a long operation
it asks whether to cancel it or to let it go on; the session stays.

| option | DiskRAID's | meaning |
|---|---|---|
| `--script FILE` | `/s FILE` | carry out the commands in a file, or with `-` those on standard input |
| `--verbose` | `/v` | show each command of a script before it is carried out; secrets are left out |
| `--encoding NAME` | | the encoding of a script that is neither UTF-8 nor UTF-16; `cp850` if not given |
| `--help` | `/?` | show the options and the exit codes |

## The language

- Keywords go in any case. They can be shortened to three letters and more, where one keyword is meant: `SEL LUN 5`.
- Text with blanks stands in double quotes. Blanks around `=`, `,` and `;` do not matter. `REM` is a comment.
- Sizes are in MB, or have `B`, `KB`, `MB`, `GB`, `TB` or `PB` right after the number; units are powers of 1024. `.5GB` is
  a size, too.
- Commands work on what is selected. In a subsystem that is one thing: selecting a LUN takes the selection from a drive, and
  so on. A controller's port and a target's portal group are selected beside the controller and the target. Selecting a
  subsystem selects its provider. Nothing is selected at the start.
- Objects have the numbers that `LIST` shows, from 0. They last until the next `LIST` of that kind: what is created
  meanwhile has the next number, and the number of what is deleted is not used again. So a script never meets another object
  than the one that was listed. Where nothing was listed, the numbers are what `LIST` would show.
- What a command creates is selected afterwards.
- Nothing asks whether it is meant, as in DiskRAID: `DELETE LUN` deletes.

## Scripts

A script ends at the first command that fails, and the exit code says how. With `NOERR` it goes on, whether vdsprovd
refused or nothing was selected, but not where the command is written wrong. Selecting a number that no object has is
no failure: nothing is selected then. So this deletes all LUNs, however many there are:

```
select subsystem 0
select lun 0
delete lun noerr
select lun 1
delete lun noerr
```

A script is UTF-8, UTF-16 with its mark or without, or in a code page of Windows'; lines end as on Windows or Unix. Commands
that are piped in are a script as well. Whatever a command says goes to standard output, its errors, too; where a script
stopped is told on standard error.

| exit code | meaning |
|---|---|
"""

_COMMANDS: Final = """
## Commands

All commands of DiskRAID are served. The last column says where something is different.

| command | what it does | calls | served |
|---|---|---|---|
"""

_HINTS_HEAD: Final = """
## Automagic flags

| flag | meaning | value |
|---|---|---|
"""

_TAIL: Final = """
## Where Microsoft's reference is silent

- Its example abbreviates `SELECT` to `SEL` and tells no rule; the three letters are DiskPart's.
- How long an object's number is valid: see above. DiskRAID may count anew earlier.
- Whether a script that selects a number that there is not has failed: it has not, or what the reference says that `NOERR` is
  for could not be written.
- Whether what is created is selected: it is. Scripts that select it themselves are not disturbed.
- What Ctrl-C gives as a script's exit code: 130, as of other programs here.
- Secrets: `secret=*` asks for one at the terminal, where it is not seen. A script with a secret that others can
  read is warned of.

## This host's initiator

`LOGIN`, `LOGOUT`, `INITIATOR`, `CHAP INITIATOR`, and the kinds `iadapter`, `iportal` and `hbaport` are about the host on which
`vdsprovctl` runs; they need root and open-iscsi. An adapter is one of open-iscsi's interfaces, `default` first; an
initiator portal is an address of the host. CHAP secrets are in open-iscsi's records, which only root can read, and never in
the arguments of a program. `UNINSTALL` removes this host's disks of a LUN, and refuses while one is in use.

With `vdsprovctl --host storage1 diskraid` the array is that of another host, reached through ssh ([remote.md](remote.md)), and
the initiator is still this host's. So one script, on the host that wants a disk, creates a LUN on the storage host, says who
may use it, and logs in.
"""


def document() -> str:
    """The whole file."""
    statuses = "".join(f"| {status} | {meaning} |\n" for status, meaning in STATUSES.items())
    hints = "".join(f"| `{hint.acronym}` | {hint.meaning} | `{_escaped(hint.shape)}` |\n" for hint in HINTS.values())
    return _HEAD + statuses + _COMMANDS + "".join(_rows(FORMS)) + _HINTS_HEAD + hints + _TAIL


def _rows(forms: Iterable[Form]) -> list[str]:
    found = []
    for form in forms:
        served = f"with a difference: {form.difference}" if form.difference else "yes"
        found.append(f"| `{_escaped(form.syntax)}` | {form.help} | {form.calls or '-'} | {served} |\n")
    return found


def _escaped(text: str) -> str:
    """For a cell of a table."""
    return text.replace("|", "\\|")
