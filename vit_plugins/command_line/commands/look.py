"""Run ``tools/look.py`` after its arguments are read."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from pathlib import Path

import numpy as np
from mmengine.config import Config

from ...config_edits.reading import read_config_file
from ...fileio.printable_text import printable, write_any_character
from ...fileio.writable_folder import require_writable
from ...inference.classify import class_names
from ...inference.inside import model_looks, photo_looks
from ...inference.inside.history_looks import look_at_histories
from ...inference.inside.look import Look, Question
from ...inference.inside.shown_photo import ShownPhoto, UnreadablePhotoError, prepare_photos
from ...inference.photo_names import gather_images
from ...inference.photos import PhotoModel, load_for_photos
from ...inference.sample_photos import photos_to_check
from ...inference.trained_files import find_model
from ...models.inspection.attention_maps import NothingToReadError
from ...recipes.finding import find_config, is_config_here

OF_WEIGHTS = {
    'gates': model_looks.look_at_gates,
    'positions': model_looks.look_at_positions,
    'filters': model_looks.look_at_filters,
}
OF_PHOTOS = {
    'nonlocality': model_looks.look_at_nonlocality,
    'offsets': model_looks.look_at_offsets,
    'embedding': model_looks.look_at_embedding,
}
OF_EACH_PHOTO = {
    'attention': photo_looks.look_at_attention,
    'rollout': photo_looks.look_at_rollout,
    'cam': photo_looks.look_at_cam,
}
HISTORY = 'history'
ALL = (HISTORY, *OF_WEIGHTS, *OF_PHOTOS, *OF_EACH_PHOTO)
NUMBERS = {'nonlocality': 16, 'offsets': 16, 'embedding': 150}  # number of photos
EACH_NUMBER = 4


def find_weights(args: argparse.Namespace) -> tuple[Path, Path | None, Path]:
    """Return config and checkpoint, and the folder for the pictures.

    Args:
        args: The arguments of the tool.

    Returns:
        The checkpoint is None if the weights are those from which a training starts.
    """
    where = Path(args.model)
    if is_config_here(where) and where.suffix != '.py':
        folder = where if where.is_dir() else where.parent
        return *find_model(where, args.config, args.checkpoint), args.out or folder / 'look'
    out = args.out or Path('look') / where.stem
    if where.suffix == '.py' and where.is_file():
        return where, args.checkpoint, out
    config = find_config(args.model)  # refuses an unknown name
    try:
        return *find_model(args.model, args.config, args.checkpoint), out
    except (ValueError, FileNotFoundError):  # a recipe, or a model without published weights
        return config, args.checkpoint, out


@contextmanager
def open_photos(args: argparse.Namespace, cfg: Config) -> Iterator[Sequence[str]]:
    """Yield the image files that the user named; by default those of the test set.

    Args:
        args: The arguments of the tool.
        cfg: The config of the model.

    Raises:
        ValueError: If the named images do not exist.
    """
    if args.images:
        files, left_out = gather_images(args.images)
        for line in left_out:
            print(line, file=sys.stderr)
        if not files:
            raise ValueError(f'no image in {", ".join(map(printable, args.images))}')
        yield files
        return
    with photos_to_check(cfg, None, args.number or NUMBERS['embedding']) as (files, source):
        print(f'images: {source}', file=sys.stderr)
        yield files


def spread(files: Sequence[str], number: int) -> list[str]:
    """Return some of the files, spread evenly over the list.

    Args:
        files: The files.
        number: The largest number to return.

    >>> spread(['a', 'b', 'c', 'd', 'e'], 3)
    ['a', 'c', 'e']
    """
    places = np.linspace(0, len(files) - 1, min(number, len(files))).round().astype(int)
    return [files[place] for place in places]


def read_target(text: str | None, classes: Sequence[str]) -> int | None:
    """Return the number of the class that the user named.

    Args:
        text: The name or number of the class; None for no class.
        classes: The class names.

    Raises:
        ValueError: If there is no such class.
    """
    if text is None:
        return None
    if text in classes:
        return classes.index(text)
    if text.isdigit():
        return int(text)
    raise ValueError(f'--class {text}: the classes are {", ".join(classes) or "without names"}')


def looks(
    what: str,
    trained: PhotoModel,
    files: Sequence[str],
    question: Question,
    number: int | None,
) -> Iterator[tuple[str, Look]]:
    """Yield the pictures of one type, with names for their files.

    Args:
        what: The type of picture.
        trained: The model.
        files: Photos to choose from.
        question: The settings of the picture.
        number: Number of photos to use; None is the usual number.
    """
    if what in OF_WEIGHTS:
        yield what, OF_WEIGHTS[what](trained.model, [], question)
    elif what in OF_PHOTOS:
        photos = prepare_photos(trained, spread(files, number or NUMBERS[what]))
        yield what, OF_PHOTOS[what](trained.model, photos, question)
    else:
        photos = prepare_photos(trained, spread(files, number or EACH_NUMBER))
        for place, photo in enumerate(photos):
            yield (
                file_name(what, photo, place),
                OF_EACH_PHOTO[what](trained.model, photo, question),
            )


def file_name(what: str, photo: ShownPhoto, place: int) -> str:
    """Return a file name without suffix for the picture of a photo.

    Args:
        what: The type of picture.
        photo: The photo.
        place: The index of the photo, which distinguishes photos of the same name.
    """
    return f'{what}_{place + 1}_{Path(photo.name).stem}'


def write(look: Look, out: Path) -> None:
    """Write a picture and its arrays, and print the path and the content.

    Args:
        look: The picture.
        out: The file, without suffix.
    """
    require_writable(out.parent.absolute())
    look.figure.savefig(f'{out}.png', dpi=110)
    np.savez_compressed(f'{out}.npz', **look.arrays)
    print(f'{out}.png, .npz: {look.words}')


def write_looks(
    args: argparse.Namespace, wanted: Sequence[str], path: Path, checkpoint: Path | None, out: Path
) -> int:
    """Write pictures of the inside of a model and return their number.

    Args:
        args: The arguments of the tool.
        wanted: The types of picture.
        path: The config.
        checkpoint: The checkpoint, if there is one.
        out: The folder.

    Raises:
        NothingToReadError: If the model lacks what was asked for by name.
    """
    cfg = read_config_file(path)
    with redirect_stdout(sys.stderr):  # the host's log
        trained = load_for_photos(cfg, checkpoint, args.device)
    classes = class_names(trained)
    chosen = dict(layer=args.layer, head=args.head, query=args.query, mode=args.mode)
    target = read_target(args.target, classes)
    question = Question(**chosen, target=target, seed=args.seed, classes=classes)
    written = 0
    with open_photos(args, cfg) as files:
        for what in wanted:
            found = looks(what, trained, files, question, args.number)
            written += write_all(what, found, out, named=bool(args.what))
    return written


def write_all(what: str, found: Iterator[tuple[str, Look]], out: Path, named: bool) -> int:
    """Write pictures of one type and return their number.

    Args:
        what: The type of picture.
        found: Names and pictures.
        out: The folder.
        named: Whether the user named this type; if not, a model may lack it.

    Raises:
        NothingToReadError: If the model lacks what was asked for by name.
        UnreadablePhotoError: If a photo cannot be read.
    """
    written = 0
    try:
        for name, look in found:
            write(look, out / name)
            written += 1
    except (NothingToReadError, ImportError, ValueError) as error:  # as too few photos
        if named or isinstance(error, UnreadablePhotoError):
            raise
        print(f'{what} left out: {error}', file=sys.stderr)
    return written


def run(args: argparse.Namespace) -> int:
    """Write pictures of the inside of a model.

    Args:
        args: The arguments of the tool.

    Returns:
        The exit code, 1 if nothing was written.

    Raises:
        SystemExit: With a message, if the pictures cannot be written.
    """
    write_any_character()
    written = 0
    wanted = list(args.what or ALL)
    try:
        if HISTORY in wanted:
            wanted.remove(HISTORY)
            work_dir = Path(args.model)  # no weights are needed
            found = look_at_histories(work_dir, args.beside)
            out = args.out or work_dir / 'look'
            written += write_all(HISTORY, found, out, named=bool(args.what))
        if wanted:
            path, checkpoint, out = find_weights(args)
            weights = checkpoint or 'none: the weights that its training starts from'
            print(f'config {path}, checkpoint {weights}', file=sys.stderr)
            require_writable(out.absolute())
            written += write_looks(args, wanted, path, checkpoint, out)
    except (ValueError, OSError, ImportError) as error:
        sys.exit(str(error))
    return 0 if written else 1
