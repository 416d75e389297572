"""`vdsprovctl completion`: scripts that make a shell complete commands, options and the names of what there is.

The scripts are click's with two repairs: bash breaks words at colons, and so iSCSI names apart; zsh takes a colon for the end of
a name.
"""

import os
from typing import Final

import click
from click import shell_completion
from click.shell_completion import CompletionItem

PROGRAM: Final = "vdsprovctl"
VARIABLE: Final = "_VDSPROVCTL_COMPLETE"
"""Set by the scripts when they ask for completions."""

# The whole line goes to vdsprovctl, which knows what a word is; it answers with what is to be put after the last place where
# bash breaks the word.
_BASH: Final = """\
%(complete_func)s() {
    local IFS=$'\\n' response type value
    response=$(COMP_LINE="$COMP_LINE" COMP_POINT="$COMP_POINT" COMP_WORDBREAKS="$COMP_WORDBREAKS" \\
        %(complete_var)s=bash_complete "$1" 2>/dev/null)
    COMPREPLY=()
    for line in $response; do
        type=${line%%%%,*}
        value=${line#*,}
        case $type in
            dir) compopt -o dirnames ;;
            file) compopt -o default ;;
            plain) COMPREPLY+=("$value") ;;
        esac
    done
}
complete -o nosort -F %(complete_func)s %(prog_name)s
"""


class Bash(shell_completion.BashComplete):
    """bash, with names that have colons."""

    source_template = _BASH

    def get_completion_args(self) -> tuple[list[str], str]:
        line = os.environ["COMP_LINE"].encode()[: int(os.environ["COMP_POINT"])].decode(errors="ignore")
        words = shell_completion.split_arg_string(line)
        incomplete = words.pop() if words and not line[-1:].isspace() else ""
        self._kept = incomplete[: _last_break(incomplete)]
        return words[1:], incomplete

    def format_completion(self, item: CompletionItem) -> str:
        return f"{item.type},{item.value.removeprefix(self._kept)}"


def _last_break(word: str) -> int:
    """Where bash takes the last part of the word to begin: behind its last colon, if it breaks words there."""
    return word.rfind(":") + 1 if ":" in os.environ.get("COMP_WORDBREAKS", "") else 0


class Zsh(shell_completion.ZshComplete):
    """zsh, with names that have colons."""

    def format_completion(self, item: CompletionItem) -> str:
        value = item.value.replace(":", r"\:") if item.help else item.value
        return f"{item.type}\n{value}\n{item.help or '_'}"


SHELLS: Final = {"bash": Bash, "zsh": Zsh, "fish": shell_completion.FishComplete}


def register() -> None:
    """Have click use these when a shell asks."""
    for name, shell in SHELLS.items():
        shell_completion.add_completion_class(shell, name)


@click.command(
    epilog="""\b
Examples:
  source <(vdsprovctl completion bash)      # in ~/.bashrc
  source <(vdsprovctl completion zsh)       # in ~/.zshrc, after compinit
  vdsprovctl completion fish > ~/.config/fish/completions/vdsprovctl.fish"""
)
@click.argument("shell", type=click.Choice(list(SHELLS)))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print a script that makes a shell complete what is typed after vdsprovctl, also the names of LUNs, targets and the like.

    Names are asked for when they are needed, of the daemon that the options before them name.
    """
    found = SHELLS[shell](context.find_root().command, {}, PROGRAM, VARIABLE)
    click.echo(found.source_template % found.source_vars())
