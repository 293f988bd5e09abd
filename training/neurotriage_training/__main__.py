"""Command line: python -m neurotriage_training COMMAND; results to standard output, progress to standard error."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from . import machine, plans, similar
from .compare import cli as comparison


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="neurotriage_training", description=__doc__)
    commands = top.add_subparsers(dest="command", required=True)
    for name, text in (
        ("ship", "train, calibrate, test and export the shipped model, with results and model card"),
        ("train", "the training stages only"),
        ("original", "the original study's protocol only: its slices, random 80/20, three seeds"),
        ("export", "calibrate, test and export what has been trained"),
    ):
        one = commands.add_parser(name, help=text)
        one.add_argument("--data", type=Path, required=True, help="folder with manifest.csv, or one folder per class")
        one.add_argument(
            "--weights", type=Path, help="checkpoint to start each network from, instead of the start without labels"
        )
        one.add_argument("--run", type=Path, help="checkpoints and caches (default training/runs/model)")
        one.add_argument("--model", type=Path, help="where model.onnx goes (default classifier/model)")
        one.add_argument("--results", type=Path, help="where figures go (default training/results)")
        one.add_argument("--document", type=Path, help="the model card in words (default docs/MODEL_CARD.md)")
        one.add_argument(
            "--foreign", type=Path, nargs="*", default=[], help="DICOM folders of other bodies and modalities"
        )
        one.add_argument(
            "--healthy", type=Path, nargs="*", default=[], help="healthy volumes (.nii.gz, .zip of DICOM) to ask about"
        )
        one.add_argument(
            "--only",
            type=int,
            nargs="*",
            default=[],
            help="train these folds' networks only (0: the shipped one), or these seeds'",
        )
        one.add_argument(
            "--split",
            choices=similar.SPLITS,
            help="folds: patient, as the manifest gives them (the default with one); similarity, look-alikes together "
            "(the default without); random, which leaks patients",
        )
        one.add_argument("--threads", type=int, default=1, help="the shipped weights were made with 1")
        one.add_argument("--tiny", action="store_true", help="a run of seconds that exercises everything")
        one.add_argument("--without-atlas", action="store_true", help="train without the healthy volumes")
    comparison.add(commands.add_parser("compare", help="backbones and techniques, each a row that can be run again"))
    one = commands.add_parser("evaluate", help="a model file on pictures in one folder per class, as JSON")
    one.add_argument("folder", type=Path)
    one.add_argument("--model", type=Path, default=None)
    one = commands.add_parser("golden", help="write the recipe's golden fixtures for the Go tests")
    one.add_argument("--out", type=Path, required=True)
    one.add_argument("--model", type=Path, default=None)
    one = commands.add_parser("tensor", help="tensor and scores of one PNG, JPEG or DICOM slice, as JSON")
    one.add_argument("file", type=Path)
    one.add_argument("--model", type=Path, default=None)
    one.add_argument("--frame", type=int, default=1)
    return top


def _whole(arguments: argparse.Namespace) -> plans.Whole:
    whole = plans.tiny() if arguments.tiny else plans.SECOND
    return whole.changed(threads=arguments.threads, atlas=whole.last.atlas and not arguments.without_atlas)


def _train(arguments: argparse.Namespace) -> int:
    from . import data, original, pools, ship

    places = ship.Places(
        arguments.data,
        **{name: value for name in ("run", "model", "results", "document") if (value := getattr(arguments, name))},
        foreign=tuple(arguments.foreign),
        healthy=tuple(arguments.healthy),
    )
    whole = _whole(arguments)
    if whole.last.atlas and len(pools.atlases()) < 3:
        print(
            "the healthy volumes that train as normals are missing; "
            "run training/setup.sh --atlas, or pass --without-atlas for another model",
            file=sys.stderr,
        )
        return 2
    # Class folders name no patient: look-alikes then stand in for them.
    split = arguments.split or ("patient" if data.find_manifest(arguments.data) else "similarity")
    work = ship.Work(places, whole, similar.folded(split, data.load(arguments.data), whole.last.recipe), split)
    if arguments.command in {"train", "ship"}:
        ship.learn(work, arguments.weights, arguments.only)
    if arguments.command in {"original", "ship"}:
        ship.original_protocol(work, arguments.weights, arguments.only or original.SEEDS)
    if arguments.command in {"export", "ship"}:
        print(json.dumps(ship.finish(work)["headline"], indent=2))
    return 0


def main(argv: list[str] | None = None) -> int:
    words = sys.argv[1:] if argv is None else argv
    arguments = parser().parse_args(words)
    machine.keep_memory()
    if arguments.command == "compare":
        return comparison.main(arguments, words[1:])
    if arguments.command in {"ship", "train", "original", "export"}:
        return _train(arguments)
    from . import fixtures, inspect_slice

    if arguments.command == "golden":
        fixtures.write(arguments.out, arguments.model)
    elif arguments.command == "tensor":
        print(json.dumps(inspect_slice.describe(arguments.file, arguments.model, arguments.frame)))
    else:
        print(json.dumps(inspect_slice.evaluate(arguments.folder, arguments.model), indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
