"""Run ``tools/predict.py`` after its arguments are read."""

from __future__ import annotations

import argparse
import os
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from pickle import UnpicklingError

from ...datasets.folder_scan import IMAGE_SUFFIXES
from ...datasets.image_check import describe_notes
from ...fileio.printable_text import printable, write_any_character
from ...fileio.writable_folder import require_writable
from ...inference.classify import Classifier
from ...inference.photo_names import gather_images
from ...inference.prediction_writers import (
    CsvWriter,
    JsonLinesWriter,
    JsonWriter,
    PredictionWriter,
    TableWriter,
)
from ...inference.trained_files import find_model

STDIN = '-'
# the errors for a model that is absent, damaged, refused or unfit
UNUSABLE = (ValueError, OSError, RuntimeError, UnpicklingError)
WRITERS = {'.csv': CsvWriter, '.jsonl': JsonLinesWriter}


def prepare_output(out: Path) -> None:
    """Check, before any work, that the results can be written.

    Raises:
        SystemExit: With a message, if they cannot.
    """
    try:
        require_writable(out.absolute().parent)
        if out.exists():
            out.open('a').close()
    except OSError as error:
        sys.exit(f'--out {out} cannot be written: {error}')


def load_model(args: argparse.Namespace) -> tuple[Classifier, dict[str, str]]:
    """Load the model, and return it together with a description of it.

    Raises:
        SystemExit: With a message, if the files are absent or do not fit.
    """
    try:
        config, checkpoint = find_model(args.work_dir, args.config, args.checkpoint)
        print(f'config {config}, checkpoint {checkpoint}', file=sys.stderr)
        options = {'batch_size': args.batch_size, 'workers': args.workers}
        classifier = Classifier(checkpoint, config, device=args.device, **options)
    except UNUSABLE as error:
        sys.exit(str(error))
    return classifier, {'config': str(config), 'checkpoint': str(checkpoint)}


@contextmanager
def open_writer(out: Path | None, about: dict[str, str]) -> Iterator[PredictionWriter]:
    """Open the file for the results, and complete it whatever happens.

    Args:
        out: The file, or None.
        about: Which model it is, for the head of the file.
    """
    if out is None:
        yield TableWriter(sys.stdout)
        return
    with out.open('w', newline='', encoding='utf-8', errors='backslashreplace') as file:
        writer = JsonWriter(file, about) if out.suffix == '.json' else WRITERS[out.suffix](file)
        finished = False
        try:
            yield writer
            finished = True
        finally:
            writer.close(finished)


def classify(
    args: argparse.Namespace, classifier: Classifier, images: Iterable[str], about: dict[str, str]
) -> Counter[str]:
    """Classify the images, write each answer as it comes, and count them.

    Args:
        args: The arguments of the tool.
        classifier: The loaded model.
        images: Paths of the images.
        about: Which model it is, for the head of the file.
    """
    notes: dict[str, list[str]] = {}
    count: Counter[str] = Counter()
    with open_writer(args.out, about) as writer:
        for answer in classifier.stream(images, args.top_k, progress=None, notes=notes):
            writer.add(answer)
            if answer.problem is not None:
                told = f'skipped, unreadable: {printable(answer.image)}: {answer.problem}'
                print(told, file=sys.stderr)
            count['read' if answer.problem is None else 'unreadable'] += 1
    for line in describe_notes(notes):
        print(line, file=sys.stderr)
    return count


def find_images(names: list[str]) -> Iterable[str]:
    """Return the images that the user named, and print what is skipped.

    Args:
        names: Files, folders, globs and addresses; ``-`` stands for names in standard input, which
            are read one by one when the images are needed.

    Raises:
        SystemExit: With a message, if there is no image.
    """
    if STDIN in names:
        return _images_as_they_come(names)
    images, left_out = gather_images(names)
    for line in left_out:
        print(line, file=sys.stderr)
    if not images:
        named = ', '.join(map(printable, names))
        sys.exit(f'no image in {named}: images end in {", ".join(IMAGE_SUFFIXES)}')
    return images


def _images_as_they_come(names: list[str]) -> Iterator[str]:
    for name in names:
        for given in _names_of_stdin() if name == STDIN else [name]:
            images, left_out = gather_images([given])
            for line in left_out:
                print(line, file=sys.stderr)
            yield from images


def _names_of_stdin() -> Iterator[str]:
    if hasattr(sys.stdin, 'reconfigure'):
        sys.stdin.reconfigure(errors='surrogateescape')  # file names are bytes
    # programs on Windows begin a text with a byte order mark
    return filter(None, (line.rstrip('\r\n').removeprefix('\ufeff') for line in sys.stdin))


def run(args: argparse.Namespace) -> int:
    """Classify the images; the exit code is 1 if none could be read."""
    write_any_character()
    if args.out:
        prepare_output(args.out)
    images = find_images(args.images)
    classifier, about = load_model(args)
    try:
        count = classify(args, classifier, images, about)
    except BrokenPipeError:  # the reader, such as `head`, has closed the pipe
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (FloatingPointError, OSError) as error:
        sys.exit(f'{error}' + (f'; what was done by then is in {args.out}' if args.out else ''))
    where = f', written to {args.out}' if args.out else ''
    print(
        f'{count["read"]} images classified, {count["unreadable"]} skipped{where}', file=sys.stderr
    )
    return 0 if count['read'] else 1
