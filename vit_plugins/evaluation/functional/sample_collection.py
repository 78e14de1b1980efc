"""Collect embeddings and numbers of samples batch by batch, and merge them without doubles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

ROLES = ('query', 'gallery')


def pack_batch(samples: Sequence[Mapping[str, Any]], *fields: str) -> dict[str, np.ndarray]:
    """Return embeddings and numbers of a batch of samples.

    Args:
        samples: Outputs of the model, each with ``'embedding'``, ``'sample_idx'`` and the fields.
        *fields: Names of further integers in each sample.

    Returns:
        ``'embedding'``, float32 of shape (B, D), on the CPU; ``'sample_idx'`` and each field,
        int64 of shape (B,); ``'role'``, strings of shape (B,), '' where a sample has none.

    Raises:
        KeyError: If a sample lacks one of these.
    """
    for name in ('embedding', 'sample_idx', *fields):
        if any(name not in sample for sample in samples):
            raise KeyError(
                f'a sample has no {name!r}, only {sorted(samples[0])}: the model must be one that '
                f'predicts embeddings, such as EmbeddingRetriever, and PackInputs must have '
                f"{name!r} among its meta_keys, unless it is 'embedding' or 'gt_label'"
            )
    embeddings = torch.stack([torch.as_tensor(sample['embedding']) for sample in samples])
    batch = {'embedding': embeddings.detach().float().cpu().numpy()}
    for name in ('sample_idx', *fields):
        batch[name] = np.array([int(sample[name]) for sample in samples], np.int64)
    batch['role'] = np.array([sample.get('role') or '' for sample in samples])
    return batch


def merge_batches(batches: Sequence[Mapping[str, np.ndarray]], size: int) -> dict[str, np.ndarray]:
    """Merge batches and keep each sample once, by its index.

    Distributed samplers repeat samples so that each rank has the same number. The positions of the
    repeated samples depend on the sampler and the ranks.

    Args:
        batches: Results of :func:`pack_batch` from all ranks.
        size: The number of samples of the dataset.

    Returns:
        The same arrays of all samples, sorted by index.

    Raises:
        ValueError: If there are fewer samples than in the dataset, or if two different samples
            have the same index.
    """
    if not batches:
        raise ValueError('no sample has come: is the dataset empty?')
    index = np.concatenate([batch['sample_idx'] for batch in batches])
    kept, first, inverse = np.unique(index, return_index=True, return_inverse=True)
    merged = {}
    for name in batches[0]:
        values = np.concatenate([batch[name] for batch in batches])
        merged[name] = values[first]
        if name != 'embedding' and not (values == merged[name][inverse.reshape(-1)]).all():
            raise ValueError(_collision(f'samples of the same sample_idx differ in {name}'))
    if len(kept) < size:
        raise ValueError(_collision(f'{size} samples have {len(kept)} different sample_idx'))
    return merged


def _collision(what: str) -> str:
    return (
        f'{what}: a dataset made of others (ConcatDataset, RepeatDataset) counts each of them '
        'from 0; use one dataset whose samples have a role instead'
    )


def split_roles(roles: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """Return the indices of queries and gallery.

    Args:
        roles: The role of each sample: ``'query'``, ``'gallery'`` or ``''``.

    Returns:
        Indices of the queries and of the gallery, or None if no sample has a role.

    Raises:
        ValueError: If only some samples have a role, or a role is unknown or has no sample.
    """
    present = set(roles.tolist())
    if present == {''}:
        return None
    if present != set(ROLES):
        raise ValueError(
            f'the roles of the samples are {sorted(present)}: either each is one of {ROLES}, and '
            'both occur, or none has a role and each sample is searched among all others'
        )
    queries, gallery = (np.flatnonzero(roles == role) for role in ROLES)
    return queries, gallery
