"""What ``tools/retrieve.py`` does once its arguments are read."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import redirect_stdout
from pathlib import Path

import numpy as np
from mmengine.config import Config

from ...config_edits.walking import pipelines_of
from ...datasets.image_check import describe_notes
from ...fileio.printable_text import printable, write_any_character
from ...fileio.writable_folder import require_writable
from ...inference.gallery import Gallery, Photo, Source, faiss
from ...inference.photos import (
    PhotoModel,
    default_workers,
    gather_images,
    load_for_photos,
    run_on_photos,
)
from ...inference.search_page import (
    answer_queries,
    write_json,
    write_page,
    write_sheets,
)
from ...weights.newest_checkpoint import find_trained

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
        gallery = Gallery(args.gallery, Source.of(checkpoint), args.kind or 'exact')
        gallery.folder.mkdir(parents=True, exist_ok=True)
        Config.fromfile(config).dump(gallery.config)
        return gallery
    gallery = Gallery.load(args.gallery)
    if checkpoint is not None and Source.of(checkpoint).sha256 != gallery.source.sha256:
        raise ValueError(
            f'{args.gallery} was made with {gallery.source.checkpoint}, whose descriptors cannot '
            f'be compared with those of {checkpoint}: leave the model out, or make a new gallery'
        )
    if args.config is not None and not _same_encoder(args.config, gallery.config):
        raise ValueError(
            f'{args.gallery} was made with another config than {args.config}: leave --config out, '
            'or make a new gallery'
        )
    if args.kind not in (None, gallery.kind):
        raise ValueError(f'{args.gallery} is {gallery.kind}; make a new one for {args.kind}')
    return gallery


def _same_encoder(*configs: Path) -> bool:
    """Return whether configs have the same model and show it images in the same way."""
    first, second = (
        (
            cfg.model,
            cfg.get('data_preprocessor'),
            pipelines_of(cfg.test_dataloader),
        )
        for cfg in map(Config.fromfile, configs)
    )
    return first == second


def load_model(gallery: Gallery, checkpoint: Path | None, device: str | None) -> PhotoModel:
    """Build the model of a gallery.

    Args:
        gallery: The gallery.
        checkpoint: The file to load; None for the one that the gallery names.
        device: Where the model runs; None for the best there is.

    Raises:
        ValueError: If its checkpoint has gone, is another one now, or has a PCA not fitted.
    """
    checkpoint = checkpoint or Path(gallery.source.checkpoint)
    if not checkpoint.is_file():
        raise ValueError(
            f'{checkpoint}, the model of {gallery.folder}, is gone: --checkpoint FILE'
        )
    if Source.of(checkpoint).sha256 != gallery.source.sha256:
        raise ValueError(f'{checkpoint} is not the file that {gallery.folder} was made with')
    with redirect_stdout(sys.stderr):  # the host's log
        trained = load_for_photos(Config.fromfile(gallery.config), checkpoint, device)
    pca = getattr(trained.model, 'pca', None)
    if pca is not None and not getattr(pca, 'is_fitted', True):
        raise ValueError(
            f'the PCA in {checkpoint} has not been fitted to its weights: take the last or the '
            'best checkpoint of a training with FitPCAHook, or a config without pca'
        )
    return trained


def describe(
    trained: PhotoModel, images: Sequence[str], args: argparse.Namespace
) -> Iterator[tuple[str, np.ndarray | str]]:
    """Compute the descriptor (D,) of each image, or why it cannot be read.

    Args:
        trained: The loaded model.
        images: Paths of the images.
        args: The arguments of the tool.
    """
    workers = default_workers(len(images)) if args.workers is None else args.workers
    notes: dict[str, list[str]] = {}
    options = {'title': 'Describing', 'batch_size': args.batch_size, 'workers': workers}
    options['notes'] = notes
    for path, answer in run_on_photos(trained, images, **options):
        if isinstance(answer, str):
            print(f'skipped, unreadable: {printable(path)}: {answer}', file=sys.stderr)
            yield path, answer
        elif 'embedding' not in answer:
            raise ValueError(
                'this model gives no descriptors: its config needs EmbeddingRetriever'
            )
        else:
            yield path, answer.embedding.cpu().numpy()
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
    faiss()  # absent? before any work
    gallery = open_gallery(args)
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
            described = describe(load_model(gallery, args.checkpoint, args.device), fresh, args)
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
    trained = load_model(gallery, args.checkpoint, args.device)
    described = list(describe(trained, images, args))
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
