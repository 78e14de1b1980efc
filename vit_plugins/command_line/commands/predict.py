"""What ``tools/predict.py`` does once its arguments are read."""

from __future__ import annotations

import argparse
import os
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path

from mmengine.config import Config

from ...datasets.folder_scan import IMAGE_SUFFIXES
from ...datasets.image_check import describe_notes
from ...fileio.printable_text import printable, write_any_character
from ...fileio.writable_folder import require_writable
from ...inference.classify import Classifier, load_classifier, predict_images
from ...inference.photos import default_workers, gather_images
from ...inference.prediction_writers import CsvWriter, JsonWriter, TableWriter
from ...weights.newest_checkpoint import find_trained


def prepare_output(out: Path) -> None:
    """Make sure, before any work, that the results can be written.

    Raises:
        SystemExit: In words, if they cannot.
    """
    try:
        require_writable(out.absolute().parent)
        if out.exists():
            out.open('a').close()
    except OSError as error:
        sys.exit(f'--out {out} cannot be written: {error}')


def load_model(args: argparse.Namespace) -> tuple[Classifier, dict[str, str]]:
    """Load the model, and return with it which it is.

    Raises:
        SystemExit: In words, if the files are absent or do not fit.
    """
    try:
        config, checkpoint = find_trained(args.work_dir, args.config, args.checkpoint)
        print(f'config {config}, checkpoint {checkpoint}', file=sys.stderr)
        with redirect_stdout(sys.stderr):  # the host's log would stand in the table
            classifier = load_classifier(Config.fromfile(config), checkpoint, args.device)
    except (ValueError, FileNotFoundError) as error:
        sys.exit(str(error))
    return classifier, {'config': str(config), 'checkpoint': str(checkpoint)}


@contextmanager
def open_writer(
    out: Path | None, about: dict[str, str]
) -> Iterator[CsvWriter | JsonWriter | TableWriter]:
    """Open what the results are written to, and complete it whatever happens.

    Args:
        out: The file, or None.
        about: Which model it is, for the head of the file.
    """
    if out is None:
        yield TableWriter(sys.stdout)
        return
    with out.open('w', newline='', encoding='utf-8', errors='backslashreplace') as file:
        writer = JsonWriter(file, about) if out.suffix == '.json' else CsvWriter(file)
        finished = False
        try:
            yield writer
            finished = True
        finally:
            writer.close(finished)


def classify(
    args: argparse.Namespace, classifier: Classifier, images: list[str], about: dict[str, str]
) -> Counter[str]:
    """Classify the images, write each answer as it comes, and count them.

    Args:
        args: The arguments of the tool.
        classifier: The loaded model.
        images: Paths of the images.
        about: Which model it is, for the head of the file.
    """
    workers = default_workers(len(images)) if args.workers is None else args.workers
    notes: dict[str, list[str]] = {}
    settings = {'top_k': args.top_k, 'batch_size': args.batch_size, 'workers': workers}
    count: Counter[str] = Counter()
    with open_writer(args.out, about) as writer:
        for path, answer in predict_images(classifier, images, notes=notes, **settings):
            writer.add(path, answer)
            if isinstance(answer, str):
                print(f'skipped, unreadable: {printable(path)}: {answer}', file=sys.stderr)
            count['unreadable' if isinstance(answer, str) else 'read'] += 1
    for line in describe_notes(notes):
        print(line, file=sys.stderr)
    return count


def run(args: argparse.Namespace) -> int:
    """Classify the images; the exit code is 1 if none could be read."""
    write_any_character()
    if args.out:
        prepare_output(args.out)
    images, left_out = gather_images(args.images)
    for line in left_out:
        print(line, file=sys.stderr)
    if not images:
        named = ', '.join(map(printable, args.images))
        sys.exit(f'no image in {named}: images end in {", ".join(IMAGE_SUFFIXES)}')
    classifier, about = load_model(args)
    try:
        count = classify(args, classifier, images, about)
    except BrokenPipeError:  # the reader, as `head`, has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (FloatingPointError, OSError) as error:
        sys.exit(f'{error}' + (f'; what was done by then is in {args.out}' if args.out else ''))
    where = f', written to {args.out}' if args.out else ''
    print(
        f'{count["read"]} images classified, {count["unreadable"]} skipped{where}', file=sys.stderr
    )
    return 0 if count['read'] else 1
