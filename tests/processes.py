"""What runs on this host, seen through /proc."""

from pathlib import Path


def kernels_of(process: int) -> list[int]:
    """The guests' kernels among the descendants of a lab."""
    parents: dict[int, int] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        parents[int(stat.parent.name)] = int(fields[1])

    def descends(number: int) -> bool:
        while number in parents:
            number = parents[number]
            if number == process:
                return True
        return False

    return [number for number in parents if descends(number) and is_kernel(number)]


def is_kernel(process: int) -> bool:
    """Whether this process is there and is a guest's kernel."""
    try:
        return b"linux.uml" in Path("/proc", str(process), "cmdline").read_bytes()
    except OSError:
        return False
