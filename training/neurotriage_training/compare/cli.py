"""The subcommands of `python -m neurotriage_training compare`."""

from __future__ import annotations

import argparse
import math
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from .. import machine
from . import rows, store
from .rows import PROTOCOLS, SEEDS

if TYPE_CHECKING:
    from .runner import Setting
    from .slices import Shelf

COMMANDS = {
    "rows": "list the rows and what of them is run",
    "run": "train the networks that have no figures yet",
    "search": "Optuna's TPE against random search",
    "measure": "parameters, GFLOP, file size, ms a slice",
    "export": "one row's network as a file for the daemon's --model",
    "table": "write training/results/compare and docs/COMPARISON.md",
    "all": "run, search (unless rows are named), measure, table",
}
NEED_DATA = {"run", "search", "export", "all"}


def add(parser: argparse.ArgumentParser) -> None:
    """The options; most commands use a few of them."""
    parser.add_argument("what", choices=COMMANDS, help="; ".join(f"{k}: {v}" for k, v in COMMANDS.items()))
    parser.add_argument("row", nargs="?", help="export: the row")
    parser.add_argument("--data", type=Path, help="folder with manifest.csv, or one folder per class")
    parser.add_argument("--only", nargs="*", default=[], metavar="ROW", help="these rows only")
    parser.add_argument("--protocol", nargs="*", choices=PROTOCOLS, default=list(PROTOCOLS))
    parser.add_argument("--seeds", nargs="*", type=int, choices=SEEDS, default=list(SEEDS))
    parser.add_argument("--minutes", type=float, default=10.0, help="budget of a network (default 10)")
    parser.add_argument("--piece", type=float, default=math.inf, help="begin no network after so many minutes")
    parser.add_argument("--epochs", type=float, default=60.0, help="most epochs of a network (default 60)")
    parser.add_argument("--size", type=int, help="input size (default 112 on a CPU, 128 on CUDA)")
    parser.add_argument("--threads", type=int, default=1, help="of one process (default 1)")
    parser.add_argument("--jobs", type=int, default=1, help="processes side by side (default 1)")
    parser.add_argument("--fp32", action="store_true", help="no bf16 in training, even where it is faster")
    parser.add_argument("--weights-dir", type=Path, help="pretrained weights: ROW.safetensors or ROW.pth, timm's names")
    parser.add_argument("--from-scratch", action="store_true", help="do not ask the library's server for weights")
    parser.add_argument("--start", type=Path, help="the start without labels (default: what `make train` left)")
    parser.add_argument("--trials", type=int, default=24, help="of each sampler (default 24)")
    parser.add_argument("--slices", type=int, default=6000, help="that a trial trains on (default 6000)")
    parser.add_argument("--binary", type=Path, default=store.REPOSITORY / "bin" / "neurotriage")
    parser.add_argument("--run", type=Path, help="checkpoints and caches (default training/runs/compare)")
    parser.add_argument("--results", type=Path, help="default training/results/compare")
    parser.add_argument("--document", type=Path, help="default docs/COMPARISON.md")
    parser.add_argument("--out", type=Path, help="export: the folder (default RUN/export/ROW)")


def places(arguments: argparse.Namespace) -> store.Places:
    named = {name: value for name in ("run", "results", "document") if (value := getattr(arguments, name))}
    return store.Places(**named)


def main(arguments: argparse.Namespace, given: Sequence[str]) -> int:
    """`given` are the words after `compare`, for the processes side by side."""
    if arguments.what in NEED_DATA and arguments.data is None:
        print(f"compare {arguments.what}: name the data with --data", file=sys.stderr)
        return 2
    if arguments.what == "export" and arguments.row is None:
        print("compare export: name the row; `compare rows` lists them", file=sys.stderr)
        return 2
    try:
        rows.named(arguments.only + ([arguments.row] if arguments.row else []))
    except ValueError as error:
        print(f"compare: {error}", file=sys.stderr)
        return 2
    if arguments.what == "rows":
        return _rows(arguments)
    steps: tuple[str, ...] = (arguments.what,)
    if arguments.what == "all":
        # Who names rows wants those.
        steps = ("run", "measure", "table") if arguments.only else ("run", "search", "measure", "table")
    # Rows that fail do not keep the others from the table, which says that they were not run.
    return max([_do(step, arguments, given) for step in steps])


def _rows(arguments: argparse.Namespace) -> int:
    where = places(arguments)
    for row in rows.named(arguments.only):
        done = [run.name for run in rows.runs([row]) if where.figures(run).is_file()]
        print(f"{row.name:20} {row.group:10} {row.title}: {', '.join(done) or 'not run'}")
    return 0


def _do(step: str, arguments: argparse.Namespace, given: Sequence[str]) -> int:
    from . import export, measure, runner, search, table
    from .slices import Shelf

    where, chosen = places(arguments), rows.named(arguments.only)
    made = setting(arguments)
    if step == "run":
        shelf = Shelf(arguments.data, where.cache)
        others = _beside(arguments, given, shelf, made.size)
        failed = runner.run_all(
            rows.runs(chosen, arguments.protocol, arguments.seeds), shelf, made, where, arguments.piece
        )
        return max([int(failed > 0), *(int(other.wait() != 0) for other in others)])
    if step == "search":
        search.search(search.Plan(arguments.trials, arguments.slices), Shelf(arguments.data, where.cache), made, where)
    elif step == "measure":
        binary = arguments.binary if arguments.binary.is_file() else None
        if binary is None:
            runner.say(f"no program at {arguments.binary}: ms a slice is left out; `make build` makes it")
        measure.measure_all(chosen, made.size, binary, where)
    elif step == "export":
        (row,) = rows.named([arguments.row])
        out = arguments.out or where.run / "export" / row.name
        print(export.export(row, Shelf(arguments.data, where.cache), where, out))
    else:
        summary = table.write(where, made.size)
        print(f"{summary['networks']} of {summary['planned']} networks run: {where.document}")
    return 0


def setting(arguments: argparse.Namespace) -> Setting:
    """What the rows are run with, on this machine."""
    from . import runner
    from .backbones import Source
    from .learner import Budget, Machine

    device = machine.device()
    return runner.Setting(
        arguments.size or (128 if device == "cuda" else 112),
        Budget(arguments.minutes, arguments.epochs),
        Machine(device, arguments.threads, machine.bf16_pays(device) and not arguments.fp32),
        Source(arguments.weights_dir, not arguments.from_scratch, runner.start_of(arguments.start)),
    )


def _beside(
    arguments: argparse.Namespace, given: Sequence[str], shelf: Shelf, size: int
) -> list[subprocess.Popen[bytes]]:
    """More processes with the same words, one job each; lock files share the rows out. Caches are made first."""
    if arguments.jobs < 2:
        return []
    for frame in ("head", "whole"):
        shelf.pictures(frame)
        shelf.tensors(frame, size)
        shelf.probes(frame, size)
    words = list(given)
    words[words.index(arguments.what)] = "run"
    command = [sys.executable, "-m", "neurotriage_training", "compare", *words, "--jobs", "1"]
    return [subprocess.Popen(command) for _ in range(arguments.jobs - 1)]
