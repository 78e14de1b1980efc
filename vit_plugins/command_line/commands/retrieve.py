"""Run ``tools/retrieve.py`` after its arguments are read."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from pickle import UnpicklingError

import numpy as np

from ...config_edits.reading import read_config_file
from ...datasets.image_check import describe_notes
from ...fileio.printable_text import printable, write_any_character
from ...fileio.unreadable_list import write_unreadable
from ...fileio.writable_folder import require_writable
from ...inference.downloading import is_address
from ...inference.gallery import Gallery, Photo, Source, faiss
from ...inference.indexing import IndexPlan, plan_index, within
from ...inference.model_settings import settings_of
from ...inference.photo_names import gather_images
from ...inference.search import Searcher, answer_queries
from ...inference.search_page import write_json, write_page, write_sheets
from ...inference.trained_files import find_model

# the errors for files that are absent, damaged, refused or unfit
EXPECTED = (
    *(ValueError, OSError, ImportError, RuntimeError, FloatingPointError),
    UnpicklingError,
)
SAVE_EVERY = 300  # seconds: a killed run loses no more than this


def open_gallery(args: argparse.Namespace) -> Gallery:
    """Load the gallery, or create a new one.

    Raises:
        ValueError: If arguments are missing, or contradict the existing gallery.
    """
    config, checkpoint = args.config, args.checkpoint
    if (model := args.work_dir or args.pretrained) is not None:
        config, checkpoint = find_model(model, config, checkpoint)
        args.checkpoint = checkpoint  # the model of a gallery may have moved with its work dir
    if not Gallery.exists(args.gallery):
        if config is None or checkpoint is None:
            raise ValueError(
                'a new gallery needs --work-dir, --pretrained, or --config and --checkpoint'
            )
        settings = settings_of(read_config_file(config))
        return Gallery(args.gallery, Source.of(checkpoint), args.kind or 'exact', settings)
    gallery = Gallery.load(args.gallery, config and settings_of(read_config_file(config)))
    if checkpoint is not None and Source.of(checkpoint).sha256 != gallery.source.sha256:
        raise ValueError(
            f'{args.gallery} was made with {gallery.source.checkpoint}, whose descriptors cannot '
            f'be compared with those of {checkpoint}: leave the model out, or make a new gallery'
        )
    if args.config is not None and settings_of(read_config_file(args.config)) != gallery.settings:
        raise ValueError(
            f'{args.gallery} was made with another config than {args.config}: leave --config out, '
            'or make a new gallery'
        )
    if args.kind not in (None, gallery.kind):
        raise ValueError(f'{args.gallery} is {gallery.kind}; make a new one for {args.kind}')
    return gallery


def load_searcher(gallery: Gallery, args: argparse.Namespace) -> Searcher:
    """Build the model of a gallery, from its settings or from a config that the user named.

    Args:
        gallery: The gallery.
        args: The arguments of the tool.
    """
    options = {'batch_size': args.batch_size, 'workers': args.workers, 'device': args.device}
    return Searcher(gallery, config=args.config, checkpoint=args.checkpoint, **options)


def describe(searcher: Searcher, images: Sequence[str]) -> Iterator[tuple[str, np.ndarray | str]]:
    """Yield the descriptor (D,) of each image, or the reason why it cannot be read, also printed.

    Args:
        searcher: The loaded model.
        images: Paths of the images.
    """
    notes: dict[str, list[str]] = {}
    for path, answer in searcher.describer.describe(images, progress=None, notes=notes):
        if isinstance(answer, str):
            print(f'skipped, unreadable: {printable(path)}: {answer}', file=sys.stderr)
        yield path, answer
    for line in describe_notes(notes):
        print(line, file=sys.stderr)


def find_images(args: argparse.Namespace) -> list[str]:
    """Return the files that the user named, and print what is skipped."""
    images, left_out = gather_images(args.images)
    for line in left_out:
        print(line, file=sys.stderr)
    return images


def index_photos(args: argparse.Namespace) -> int:
    """Add photos to the gallery; the exit code is 1 if it is empty after that."""
    gallery = open_gallery(args)
    if gallery.kind == 'approximate':
        faiss()  # fails before any work if absent
    images = find_images(args)
    if addresses := [image for image in images if is_address(image)]:
        raise ValueError(f'{addresses[0]} cannot be indexed: save it as a file first')
    if args.sync and not any(map(os.path.exists, images)):
        named = ', '.join(map(printable, args.images))
        raise ValueError(f'--sync would empty the gallery: there is no image in {named}')
    plan = plan_index(gallery.photos, images, args.images)
    if not args.sync:
        _tell_outdated(plan)
    fresh = [*plan.add, *(plan.changed if args.sync else ())]
    outdated = {*plan.changed, *plan.gone} if args.sync else set()
    indexing = _Indexing(gallery, outdated, _states(fresh))
    try:
        if fresh:
            indexing.run(describe(load_searcher(gallery, args), fresh))
    finally:  # also after Ctrl-C: the same command goes on where this one stopped
        indexing.save(finished=True)
        listed = write_unreadable(indexing.skipped.items(), gallery.folder)
    known = len(plan.kept) + len(plan.changed)
    told = f'{len(plan.add) - len(indexing.skipped)} of them new; {known} were known'
    if args.sync:
        told = f'{indexing.added} of them new or replaced, {len(plan.gone)} gone ones removed'
    skipped = f'{len(indexing.skipped)} skipped' + (f' (listed in {listed})' if listed else '')
    print(f'{gallery.folder}: {len(gallery.photos)} photos, {told}, {skipped}')
    return 0 if gallery.photos else 1


def _tell_outdated(plan: IndexPlan) -> None:
    for paths, what in (
        (plan.changed, 'changed since being indexed and keep their descriptors'),
        (plan.gone, 'are gone since being indexed and can still be found'),
    ):
        if paths:
            print(
                f'{len(paths)} photo(s) {what}, for example {printable(paths[0])}: --sync brings '
                'the gallery up to date',
                file=sys.stderr,
            )


def _states(paths: Iterable[str]) -> dict[str, Photo | None]:
    """Return size and time of files; None for those that are absent."""
    found: dict[str, Photo | None] = {}
    for path in paths:
        try:
            found[path] = Photo.of(path)
        except OSError:
            found[path] = None
    return found


class _Indexing:
    """Adds descriptors to a gallery and writes it from time to time."""

    def __init__(
        self, gallery: Gallery, outdated: set[str], before: Mapping[str, Photo | None]
    ) -> None:
        self.gallery = gallery
        self.outdated = outdated
        self.before = before  # the files as they were before they were read
        self.waiting: dict[Photo, np.ndarray] = {}
        self.skipped: dict[str, str] = {}
        self.added = 0
        self.saved = time.monotonic()

    def run(self, described: Iterable[tuple[str, np.ndarray | str]]) -> None:
        for path, answer in described:
            photo = self.before[path]
            if isinstance(answer, str):
                self.skipped[path] = answer
                continue
            if photo is None or photo.state() != 'same':
                self.skipped[path] = 'it has changed, or was removed, while it was read'
                print(f'skipped: {printable(path)}: {self.skipped[path]}', file=sys.stderr)
                continue
            self.waiting[photo] = answer
            if time.monotonic() - self.saved > SAVE_EVERY:
                self.save()
                self.saved = time.monotonic()

    def save(self, finished: bool = False) -> None:
        replaced = self.outdated & {photo.path for photo in self.waiting}
        removed = self.gallery.remove(self.outdated if finished else replaced)
        if self.waiting:
            self.gallery.add(list(self.waiting), np.stack(list(self.waiting.values())))
        if self.waiting or removed or self.gallery.is_converted:
            self.gallery.save()
        self.added += len(self.waiting)
        self.waiting.clear()


def remove_photos(args: argparse.Namespace) -> int:
    """Remove photos from the gallery, not from the disk; the exit code is 1 if there are none."""
    gallery = Gallery.load(args.gallery)
    paths = within([photo.path for photo in gallery.photos], args.images)
    removed = gallery.remove(paths)
    if removed:
        gallery.save()
    named = '' if removed else f': none is named {", ".join(map(printable, args.images))}'
    print(f'{gallery.folder}: {removed} photos removed, {len(gallery.photos)} left{named}')
    return 0 if removed else 1


def show_gallery(args: argparse.Namespace) -> int:
    """Print what a gallery holds, and whether it is up to date."""
    gallery = Gallery.load(args.gallery)
    states = Counter(photo.state() for photo in gallery.photos)
    dims = 0 if gallery.descriptors is None else gallery.descriptors.shape[1]
    size = sum(file.stat().st_size for file in gallery.folder.iterdir() if file.is_file())
    source = gallery.source
    there = '' if Path(source.checkpoint).is_file() else ' (gone)'
    model = gallery.settings['model'] if gallery.settings else {}
    backbone = (model.get('backbone') or {}).get('type', 'unknown')
    print(f'photos      {len(gallery.photos)}: {states["same"]} as they were indexed, ', end='')
    print(f'{states["changed"]} changed, {states["gone"]} gone')
    print(f'search      {gallery.kind}, descriptors of {dims} numbers, {size / 1e6:.1f} MB')
    print(f'model       {model.get("type", "unknown")} with {backbone}')
    print(f'checkpoint  {printable(source.checkpoint)}{there}')
    print(f'SHA-256     {source.sha256}')
    if states['changed'] or states['gone']:
        print('`index` with --sync and the folders of the photos brings it up to date.')
    return 0


def query_photos(args: argparse.Namespace) -> int:
    """Search for images; the exit code is 1 if none could be read."""
    settings = args.config and settings_of(read_config_file(args.config))
    gallery = Gallery.load(args.gallery, settings)
    require_writable(args.out)
    images = find_images(args)
    searcher = load_searcher(gallery, args)
    described = list(describe(searcher, images))
    unreadable = [(path, answer) for path, answer in described if isinstance(answer, str)]
    readable = [(path, answer) for path, answer in described if not isinstance(answer, str)]
    answers = []
    if readable:
        queries, descriptors = zip(*readable, strict=True)
        options = {'top_k': args.top_k, 'group_above': args.group_above}
        answers = answer_queries(gallery, queries, np.stack(descriptors), **options)
    about = {'gallery': str(gallery.folder), 'photos': len(gallery.photos)}
    write_json(answers, unreadable, about, args.out / 'results.json')
    if answers:
        write_page(answers, args.out, f'{len(answers)} searched in {gallery.folder}')
        sheets = write_sheets(answers, args.out)
        print(f'{args.out}: index.html, results.json, {", ".join(s.name for s in sheets)}')
    _tell_stale({match.photo for answer in answers for match in answer.found})
    print(f'{len(answers)} images searched, {len(unreadable)} skipped', file=sys.stderr)
    return 0 if answers else 1


def _tell_stale(photos: Iterable[Photo]) -> None:
    for state, words in (('gone', 'are gone'), ('changed', 'have changed')):
        if stale := [photo.path for photo in photos if photo.state() == state]:
            print(
                f'{len(stale)} photo(s) that were found {words} since being indexed, for example '
                f'{printable(min(stale))}: `index --sync` brings the gallery up to date',
                file=sys.stderr,
            )


COMMANDS = {
    'index': index_photos,
    'query': query_photos,
    'remove': remove_photos,
    'info': show_gallery,
}


def run(args: argparse.Namespace) -> int:
    """Run one command."""
    write_any_character()
    try:
        return COMMANDS[args.command](args)
    except EXPECTED as error:
        sys.exit(str(error))
