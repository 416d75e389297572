"""What becomes of results: tables in Markdown, plots, and docs/speed.md with both."""

import json
import math
import re
import sys
import textwrap
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).resolve().parents[2]
RESULTS = CHECKOUT / "docs/speed"
DOCUMENT = CHECKOUT / "docs/speed.md"

Result = dict[str, Any]
"""One case's, as its file in docs/speed has it."""


def table(result: Result) -> str:
    """The title, when and where it was measured, what is aimed at, and the figures, in Markdown."""
    rows = result["rows"]
    names = list(dict.fromkeys(name for _, _, figures in rows for name in figures))
    lines = [["N", "", *names], ["--:", "---", *("--:" for _ in names)]]
    for luns, contender, figures in rows:
        lines.append([f"{luns:,}", contender, *(_figure(figures.get(name, "")) for name in names)])
    head = f"**{result['title']}** Aim: {result['aim']}. ({result['date']}, kernel {result['kernel']})"
    return "\n".join([head, "", *(f"| {' | '.join(line)} |" for line in lines)])


def _figure(value: float | str) -> str:
    """Three digits, without an exponent."""
    if isinstance(value, str):
        return value
    if value == 0 or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.{2 - math.floor(math.log10(abs(value)))}f}"


def keep(result: Result) -> None:
    """Make it the newest result of its case."""
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{result['case']}.json").write_text(_json(result))


def _json(result: Result) -> str:
    """A line for each row: what has changed is to be seen."""
    rows = ",\n".join(f"  {json.dumps(row)}" for row in result["rows"])
    head = json.dumps({**result, "rows": []}, indent=1)
    return head.replace('"rows": []', f'"rows": [\n{rows}\n ]') + "\n"


def draw() -> None:
    """Write the tables in the document, and the plots, from the newest results."""
    files = sorted(RESULTS.glob("*.json"))
    results = [json.loads(file.read_text()) for file in files]
    text = DOCUMENT.read_text()
    for result in results:
        text = with_table(text, result)
    DOCUMENT.write_text(text)
    for file, result in zip(files, results, strict=True):
        if result["plot"]:
            _plot(result, file.with_suffix(".png"))


def with_table(text: str, result: Result) -> str:
    """The document with the table, and its plot, between the case's marks; at the end where there are none."""
    name = result["case"]
    begin, end = f"<!-- scripts/bench {name} -->", f"<!-- end of {name} -->"
    plot = f"\n\n![{result['plot']} over the number of LUNs](speed/{name}.png)" if result["plot"] else ""
    block = f"{begin}\n{table(result)}{plot}\n{end}"
    if begin not in text:
        return f"{text.rstrip()}\n\n{block}\n"
    return re.sub(f"{re.escape(begin)}.*?{re.escape(end)}", lambda _: block, text, flags=re.DOTALL)


def _plot(result: Result, file: Path) -> None:
    """One line for each contender, on logarithmic axes."""
    try:
        import matplotlib as mpl  # noqa: PLC0415  # only who draws needs it
        from matplotlib.figure import Figure  # noqa: PLC0415  # as above
    except ImportError:
        sys.exit(
            "bench: matplotlib draws the plots: .venv/bin/pip install '.[bench]', then .venv/bin/python scripts/bench --draw"
        )
    lines: dict[str, list[tuple[int, float]]] = {"floor": [], "vdsprovd": []}  # of the same colour everywhere
    for luns, contender, figures in result["rows"]:
        if isinstance(value := figures.get(result["plot"]), float | int):
            lines.setdefault(contender, []).append((luns, value))
    lines = {contender: points for contender, points in lines.items() if points}
    figure = Figure(figsize=(8, 5), dpi=110, layout="constrained")
    axes = figure.subplots()
    for (contender, points), marker in zip(lines.items(), "osD^vP*X<>", strict=False):
        axes.plot(*zip(*points, strict=True), marker=marker, label=contender, linewidth=1.6, markersize=5)
    axes.set(xscale="log", yscale="log", xlabel="LUNs present", ylabel=result["plot"])
    title = textwrap.fill(result["title"], 80)
    figure.suptitle(f"{title}\n{result['date']}, kernel {result['kernel']}", fontsize=10)
    values = [value for points in lines.values() for _, value in points]
    axes.set_ylim(10 ** math.floor(math.log10(min(values))), 10 ** math.ceil(math.log10(max(values))))
    counts = sorted({luns for luns, _, _ in result["rows"]})
    axes.set_xticks(counts, [f"{count:,}" for count in counts])
    axes.minorticks_off()
    axes.yaxis.set_major_formatter(mpl.ticker.FuncFormatter(lambda value, _: f"{value:,g}"))
    axes.grid(visible=True, alpha=0.3)
    axes.legend(fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))
    figure.savefig(file, metadata={"Software": None})
