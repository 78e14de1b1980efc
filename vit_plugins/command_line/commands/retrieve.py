"""What ``tools/retrieve.py`` does once its arguments are read."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from ...config_edits.reading import read_config_file
from ...datasets.image_check import describe_notes
from ...fileio.printable_text import printable, write_any_character
from ...fileio.writable_folder import require_writable
from ...inference.gallery import Gallery, Photo, Source, faiss
from ...inference.model_settings import settings_of
from ...inference.photo_names import gather_images
from ...inference.search import Searcher, answer_queries
from ...inference.search_page import write_json, write_page, write_sheets
from ...weights.choosing import find_trained

SAVE_EVERY = 300  # seconds: what a killed run loses at most


def open_gallery(args: argparse.Namespace) -> Gallery:
    """Load the gallery to add to, or begin a new one.

    Raises:
        ValueError: If arguments are missing, or contradict the gallery that is there.
    """
    config, checkpoint = args.config, args.checkpoint
    if args.work_dir is not None:
        config, checkpoint = find_trained(args.work_dir, config, checkpoint)
        args.checkpoint = checkpoint  # the model of a gallery may have moved with its work dir
    if not Gallery.exists(args.gallery):
        if config is None or checkpoint is None:
            raise ValueError('a new gallery needs --work-dir, or --config and --checkpoint')
        settings = settings_of(read_config_file(config))
        return Gallery(args.gallery, Source.of(checkpoint), args.kind or 'exact', settings)
    gallery = Gallery.load(args.gallery)
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
    """Build the model of a gallery, from its settings or from a config that is named.

    Args:
        gallery: The gallery.
        args: The arguments of the tool.
    """
    options = {'batch_size': args.batch_size, 'workers': args.workers, 'device': args.device}
    return Searcher(gallery, config=args.config, checkpoint=args.checkpoint, **options)


def describe(searcher: Searcher, images: Sequence[str]) -> Iterator[tuple[str, np.ndarray | str]]:
    """Compute the descriptor (D,) of each image, or why it cannot be read, which is said.

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
    """Return the files that are meant, and say what is left out."""
    images, left_out = gather_images(args.images)
    for line in left_out:
        print(line, file=sys.stderr)
    return images


def index_photos(args: argparse.Namespace) -> int:
    """Add photos to the gallery; the exit code is 1 if it holds none then."""
    gallery = open_gallery(args)
    if gallery.kind == 'approximate':
        faiss()  # absent? before any work
    known = {photo.path: photo for photo in gallery.photos}
    images = {str(Path(image).absolute()): None for image in find_images(args)}
    fresh = [image for image in images if image not in known]
    here = [known[image] for image in images if image in known]
    changed = [
        photo.path for photo in here if Path(photo.path).exists() and Photo.of(photo.path) != photo
    ]
    if changed:
        print(
            f'{len(changed)} photos changed since they were indexed and keep their descriptors, '
            f'for example {printable(changed[0])}: index them into a new gallery',
            file=sys.stderr,
        )
    photos, descriptors, skipped, saved = [], [], 0, time.monotonic()

    def save() -> None:
        if photos:
            gallery.add(photos, np.stack(descriptors))
            gallery.save()
            photos.clear()
            descriptors.clear()

    try:
        described = ()
        if fresh:
            described = describe(load_searcher(gallery, args), fresh)
        for path, answer in described:
            if isinstance(answer, str):
                skipped += 1
                continue
            try:
                photo = Photo.of(path)
            except OSError as error:  # removed by now
                print(f'skipped: {printable(path)}: {error}', file=sys.stderr)
                skipped += 1
                continue
            photos.append(photo)
            descriptors.append(answer)
            if time.monotonic() - saved > SAVE_EVERY:
                save()
                saved = time.monotonic()
    finally:  # Ctrl-C, too: the same command goes on where this one stopped
        save()
    print(
        f'{gallery.folder}: {len(gallery.photos)} photos, {len(fresh) - skipped} of them new; '
        f'{len(here)} were known, {skipped} skipped'
    )
    return 0 if gallery.photos else 1


def query_photos(args: argparse.Namespace) -> int:
    """Search for images; the exit code is 1 if none could be read."""
    gallery = Gallery.load(args.gallery)
    require_writable(args.out)
    images = find_images(args)
    searcher = load_searcher(gallery, args)
    described = list(describe(searcher, images))
    unreadable = [(path, answer) for path, answer in described if isinstance(answer, str)]
    readable = [(path, answer) for path, answer in described if not isinstance(answer, str)]
    answers = []
    if readable:
        queries, descriptors = zip(*readable, strict=True)
        answers = answer_queries(gallery, queries, np.stack(descriptors), args.top_k)
    about = {'gallery': str(gallery.folder), 'photos': len(gallery.photos)}
    write_json(answers, unreadable, about, args.out / 'results.json')
    if answers:
        write_page(answers, args.out, f'{len(answers)} searched in {gallery.folder}')
        sheets = write_sheets(answers, args.out)
        print(f'{args.out}: index.html, results.json, {", ".join(s.name for s in sheets)}')
    print(f'{len(answers)} images searched, {len(unreadable)} skipped', file=sys.stderr)
    return 0 if answers else 1


def run(args: argparse.Namespace) -> int:
    """Run one command."""
    write_any_character()
    try:
        return index_photos(args) if args.command == 'index' else query_photos(args)
    except (ValueError, OSError, ImportError, FloatingPointError) as error:
        sys.exit(str(error))
