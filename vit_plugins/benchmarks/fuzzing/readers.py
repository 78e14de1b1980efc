"""The readers of untrusted files, with valid files to change."""

from __future__ import annotations

import argparse
import io
import json
import pickle
import random
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.logging import HistoryBuffer
from PIL import Image

from ...datasets._annotations import AnnotationError, read_number, read_rows
from ...datasets._restricted_pickle import load_restricted_pickle
from ...datasets.folder_scan import FolderError
from ...datasets.photo_decoding import UndecodableError, decode_photo
from ...datasets.photo_table import read_table
from ...datasets.revisited_oxford_paris import read_ground_truth
from ...datasets.svhn import read_mat
from ...inference.faiss_file import FLAT, HEAD, FaissFileError, read_faiss_file
from ...inference.gallery import Gallery
from ...inference.gallery_entries import Photo, Source
from ...inference.model_settings import config_of
from ...studies.study_file import load_study_file
from ...weights.converting import load_inert
from ...weights.safe_reading import load_checkpoint_file
from ...weights.torch_allow_list import RESTRICTED
from .mutations import mutate, mutate_archive


@dataclass(frozen=True)
class Reader:
    """A reader under test.

    Attributes:
        read: Reads a file.
        documented: The errors that it documents.
        seeds: Valid files.
        suffix: The suffix of the files.
        archives: Whether the files are zip archives, whose members are changed.
    """

    read: Callable[[Path], Any]
    documented: tuple[type[Exception], ...]
    seeds: Callable[[], list[bytes]]
    suffix: str
    archives: bool = False

    def changed(self, seeds: list[bytes], rng: random.Random) -> bytes:
        """Return one of the valid files with changes.

        Args:
            seeds: The files.
            rng: The random stream.
        """
        seed = rng.choice(seeds)
        if self.archives and rng.random() < 0.8:  # otherwise the checksums would stop everything
            return mutate_archive(seed, rng)
        return mutate(seed, rng, seeds)


def _checkpoint(as_zip: bool, protocol: int = 2, **foreign: Any) -> bytes:
    history = HistoryBuffer([0.5, 0.25], [1, 1])
    model = torch.nn.Linear(3, 2)
    content = {
        'state_dict': model.state_dict(),
        'optimizer': torch.optim.AdamW(model.parameters()).state_dict(),
        'message_hub': {'log_scalars': {'train/loss': history}, 'runtime_info': {'iter': 3}},
        'meta': {'epoch': 1, 'classes': ('a', 'b'), 'mean': np.arange(3.0), 'note': np.float32(2)},
        **foreign,
    }
    file = io.BytesIO()
    torch.save(content, file, pickle_protocol=protocol, _use_new_zipfile_serialization=as_zip)
    return file.getvalue()


def _safetensors() -> bytes:
    from safetensors.torch import save

    return save({'w': torch.ones(2, 3), 'b': torch.zeros(2, dtype=torch.bfloat16)})


def _npz() -> bytes:
    file = io.BytesIO()
    block = 'Transformer/encoderblock_0/MultiHeadDotProductAttention_1/'
    parts = {
        f'{block}{name}/kernel': np.ones((4, 2, 2), 'f4') for name in ('query', 'key', 'value')
    }
    np.savez(file, cls=np.zeros((1, 1, 4), 'f4'), **parts, **{'head/bias': np.zeros(3, 'f4')})
    return file.getvalue()


def _ground_truth(protocol: int) -> bytes:
    grades = {'easy': np.array([0, 1]), 'hard': [1], 'junk': []}
    entry = {'bbx': np.array([1.0, 2.0, 9.0, 8.0]), **grades}
    content = {'imlist': ['a', 'b'], 'qimlist': ['q'], 'gnd': [entry]}
    return pickle.dumps(content, protocol)


def _mat() -> list[bytes]:
    head = b'MATLAB 5.0 MAT-file'.ljust(124) + b'\x00\x01IM'

    def matrix(name: bytes, values: np.ndarray) -> bytes:
        flags = struct.pack('<4I', 6, 8, 9, 0)
        dims = struct.pack(f'<2I{values.ndim}i', 5, 4 * values.ndim, *values.shape)
        content = values.tobytes('F')
        parts = [flags, dims, struct.pack('<2H4s', 1, 1, name)]
        parts.append(struct.pack('<2I', 2, len(content)) + content)
        inner = b''.join(part + bytes(-len(part) % 8) for part in parts)
        return struct.pack('<2I', 14, len(inner)) + inner

    images = np.arange(72, dtype=np.uint8).reshape(4, 3, 3, 2)
    return [head + matrix(b'X', images) + matrix(b'y', np.array([[1], [10]], np.uint8))]


def _gallery_json() -> list[bytes]:
    settings = {
        'model': {'type': 'ImageClassifier', 'backbone': {'type': 'LeNet5'}},
        'pipeline': [],
    }
    about = {
        **{'format': 2, 'kind': 'exact', 'source': {'checkpoint': '/a.pth', 'sha256': 'ab' * 32}},
        **{'settings': settings, 'revision': 1, 'graph': None, 'descriptors': 'descriptors-1.npy'},
        'photos': [['/a.jpg', 1, 2], ['/b.jpg', 3, 4]],
    }
    former = {name: about[name] for name in ('kind', 'source', 'photos')}
    former |= {'format': 1, 'index': 'index-1.faiss'}
    return [json.dumps(content).encode() for content in (about, former)]


def _read_gallery(path: Path) -> None:
    """Read a changed ``gallery.json`` beside valid descriptors, and its settings of the model."""
    folder = path.parent / 'gallery'
    if not folder.exists():
        vectors = np.eye(2, 4, dtype='f4')
        gallery = Gallery(folder, Source('/a.pth', 'ab' * 32))
        gallery.add([Photo('/a.jpg', 1, 2), Photo('/b.jpg', 3, 4)], vectors)
        gallery.save()
        flat = FLAT[0] + HEAD.pack(4, 2, 0, 0, 1, 0) + struct.pack('<Q', vectors.size)
        (folder / 'index-1.faiss').write_bytes(flat + vectors.tobytes())
    (folder / 'gallery.json').write_bytes(path.read_bytes())
    try:
        gallery = Gallery.load(folder)
    except ValueError:  # the old format is read only with settings
        gallery = Gallery.load(folder, json.loads(_gallery_json()[0])['settings'])
    if gallery.settings is not None:
        config_of(gallery.settings)


def _descriptors() -> list[bytes]:
    file = io.BytesIO()
    np.save(file, np.eye(2, 4, dtype='f4'))
    return [file.getvalue()]


def _read_descriptors(path: Path) -> None:
    """Read changed descriptors beside a valid ``gallery.json``."""
    folder = path.parent / 'described'
    folder.mkdir(exist_ok=True)
    (folder / 'gallery.json').write_bytes(_gallery_json()[0])
    (folder / 'descriptors-1.npy').write_bytes(path.read_bytes())
    Gallery.load(folder)


def _faiss() -> list[bytes]:
    import faiss

    vectors = np.random.default_rng(0).standard_normal((40, 4)).astype('f4')
    kinds = [faiss.IndexFlatIP(4), faiss.IndexHNSWFlat(4, 4, faiss.METRIC_INNER_PRODUCT)]
    for index in kinds:
        index.add(vectors)
    return [faiss.serialize_index(index).tobytes() for index in kinds]


def _read_faiss(path: Path) -> None:
    """Read a file, and let faiss use what passed the checks."""
    if read_faiss_file(path).has_graph:
        import faiss

        index = faiss.read_index(str(path))
        index.search(np.ones((2, index.d), 'f4'), 3)
        index.add(np.random.default_rng(1).standard_normal((50, index.d)).astype('f4'))


STUDY = """
# a study
name: small
base: a.py
axes:
  size: {small: {model.depth: 2}, large: {model.depth: 1e1, _x_: 3}}
  loss: {with: null, without: {model.head.weight: 0}}
seeds: [0, 1]
compare: {axis: loss, baseline: without, levels: [with]}
exclude: [{size: large, loss: [with]}]
tuned: [{where: {size: &s small}, set: {lr: *s}}]
"""


def _images(**settings: list[str]) -> list[bytes]:
    pixels = np.random.default_rng(0).integers(0, 255, (12, 10, 4), np.uint8)
    found = []
    for kind, modes in settings.items():
        for mode in modes:
            file = io.BytesIO()
            Image.fromarray(pixels).convert(mode).save(file, kind)
            found.append(file.getvalue())
    return found


def _read_list(path: Path) -> None:
    for line, (_, number) in read_rows(path, ('path', 'label'), header=True):
        read_number(number, path, line)


CHECKPOINT_ERRORS = (RuntimeError, pickle.UnpicklingError)
READERS = {
    'checkpoint': Reader(
        load_checkpoint_file,
        CHECKPOINT_ERRORS,
        lambda: [_checkpoint(True), _checkpoint(True, 4)],
        '.pth',
        archives=True,
    ),
    'old checkpoint': Reader(
        load_checkpoint_file, CHECKPOINT_ERRORS, lambda: [_checkpoint(False)], '.pth'
    ),
    'converted checkpoint': Reader(
        load_inert,
        CHECKPOINT_ERRORS,
        lambda: [_checkpoint(True, args=argparse.Namespace(lr=1))],
        '.pth',
        archives=True,
    ),
    'safetensors': Reader(
        load_checkpoint_file, CHECKPOINT_ERRORS, lambda: [_safetensors()], '.safetensors'
    ),
    'npz': Reader(
        load_checkpoint_file, (RuntimeError, ValueError), lambda: [_npz()], '.npz', archives=True
    ),
    'gallery': Reader(_read_gallery, (ValueError,), _gallery_json, '.json'),
    'descriptors': Reader(_read_descriptors, (ValueError,), _descriptors, '.npy'),
    'faiss': Reader(_read_faiss, (FaissFileError,), _faiss, '.faiss'),
    'MAT-file': Reader(read_mat, (AnnotationError,), _mat, '.mat'),
    'pickle': Reader(
        load_restricted_pickle,
        (pickle.UnpicklingError,),
        lambda: [_ground_truth(protocol) for protocol in (0, 2, 5)],
        '.pkl',
    ),
    'ground truth': Reader(
        read_ground_truth,
        (AnnotationError, pickle.UnpicklingError),
        lambda: [_ground_truth(protocol) for protocol in (0, 2, 5)],
        '.pkl',
    ),
    'list': Reader(
        _read_list, (AnnotationError,), lambda: [b'path label\na/b.jpg 1\nc.jpg 22\n'], '.txt'
    ),
    'photo table': Reader(
        lambda path: read_table(path, ('class', 'label')),
        (FolderError,),
        lambda: [b'file,class\na.jpg,cat\n"b, c.jpg",dog\n'],
        '.csv',
    ),
    'study': Reader(
        load_study_file, (ValueError, OSError), lambda: [STUDY.encode()], '.yaml'
    ),
    'photo': Reader(
        lambda path: decode_photo(path.read_bytes()),
        (UndecodableError,),
        lambda: _images(
            PNG=['RGB', 'RGBA', 'P', 'I;16'], JPEG=['RGB', 'L'], GIF=['P'], BMP=['RGB'],
            TIFF=['RGB', 'I;16', 'RGBA'], WEBP=['RGBA'], PPM=['RGB'],
        ),
        '.img',
    ),
}  # fmt: skip
if not RESTRICTED:  # torch below 2.6 cannot name what a file holds: `load_inert` reads none there
    del READERS['converted checkpoint']
