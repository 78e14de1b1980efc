"""A memory of the embeddings of past batches."""

import logging
from collections.abc import Mapping, Sized

import torch
from mmengine.logging import MessageHub, print_log
from mmpretrain.registry import MODELS
from torch import Tensor, nn

# Checkpoints of the first releases hold the same four in a dict under this key.
OLD_KEY = '_extra_state'
STATE = ('embeddings', 'labels', 'pointer', 'iter')


@MODELS.register_module()
class CrossBatchMemory(nn.Module):
    """A ring buffer of the last embeddings and their labels.

    Wang et al., "Cross-Batch Memory for Embedding Learning", arXiv 1912.06798; sizes of IRT
    (arXiv 2102.05644): 59,551 for SOP, 5,864 for CUB (all training images), 5,176 for In-Shop.
    Position and count are stored explicitly, so any size fits any batch, and every label is valid.

    Its content is the same on every rank if every rank stores the rows of all ranks, as
    :class:`ContrastiveRetrievalHead` does. Therefore the broadcast of rank 0's ``state_dict()`` at
    the start of a run changes nothing, and a checkpoint of rank 0 restores all ranks.
    It is saved with the model and is restored exactly when a run resumes. Weights of a model
    without it load strictly and empty it. A run that starts at iteration 0 removes what
    ``load_from`` loaded, because its labels would mean other classes. It is neither parameter nor
    buffer: DDP, ``SyncBuffersHook`` and weight averages ignore it. A deep copy, such as that of
    ``EMAHook``, is empty and never saved.

    Args:
        size: How many embeddings are kept.
        start_iter: Keep nothing in the first iterations (1000 in the XBM recipe).

    Raises:
        ValueError: If ``size`` is not positive or ``start_iter`` negative.
    """

    def __init__(self, size: int, start_iter: int = 0) -> None:
        super().__init__()
        if not size >= 1:
            raise ValueError(f'size ({size}) must be at least 1; for no memory set memory=None')
        if not start_iter >= 0:
            raise ValueError(f'start_iter ({start_iter}) must not be negative')
        self.size = size
        self.start_iter = start_iter
        self.is_copy = False
        self.clear()

    def clear(self) -> None:
        """Remove everything, including the count of iterations."""
        self._embeddings = self._labels = None  # allocated when the width is known
        self._pointer = self._count = self._iter = 0
        self._is_loaded = False

    def __len__(self) -> int:
        """Return how many embeddings there are."""
        return self._count

    def __deepcopy__(self, memo: dict) -> 'CrossBatchMemory':
        copied = type(self)(self.size, self.start_iter).train(self.training)
        copied.is_copy = True
        return copied

    def entries(self) -> tuple[Tensor, Tensor]:
        """Return the embeddings (len, D) and labels (len,), in the order of the ring's slots."""
        if self._embeddings is None:
            return torch.zeros(0, 0), torch.zeros(0, dtype=torch.long)
        return self._embeddings[: self._count], self._labels[: self._count]

    def entries_by_age(self) -> tuple[Tensor, Tensor]:
        """Return embeddings and labels, the oldest first."""
        start = self._pointer if self._count == self.size else 0
        embeddings, labels = self.entries()
        return embeddings.roll(-start, 0), labels.roll(-start, 0)

    def check_dataset(self, dataset: Sized) -> None:
        """Warn before a training if the memory is larger than the dataset.

        Args:
            dataset: The images to train on.
        """
        if self.size > len(dataset):
            print_log(
                f'The memory keeps {self.size} embeddings and there are {len(dataset)} training '
                'images: each image is then compared with several former embeddings of itself, '
                'as images of its class. The papers keep one of each image at most: '
                f'model.head.memory.size={len(dataset)}',
                logger='current',
                level=logging.WARNING,
            )

    @torch.no_grad()
    def store(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        """Store a batch in place of the oldest embeddings; if it is too large, its last rows.

        Call it once per iteration, because it counts the iterations.

        Args:
            embeddings: Shape (N, D); kept in float32 without gradient.
            labels: Shape (N,).

        Returns:
            Shape (N,): the row of each in :meth:`entries`, -1 for those not kept.
        """
        self._forget_another_run()
        rows = torch.full_like(labels, -1, dtype=torch.long)
        self._iter += 1
        if self._iter <= self.start_iter or len(labels) == 0:
            return rows
        kept = min(len(labels), self.size)
        self._allocate(embeddings)
        slots = torch.arange(kept, device=labels.device).add(self._pointer) % self.size
        self._embeddings[slots] = embeddings[-kept:].float()
        self._labels[slots] = labels[-kept:]
        self._pointer = (self._pointer + kept) % self.size
        self._count = min(self._count + kept, self.size)
        rows[-kept:] = slots
        return rows

    def _allocate(self, like: Tensor) -> None:
        if self._embeddings is None:
            self._embeddings = like.new_zeros(self.size, like.shape[1], dtype=torch.float32)
            self._labels = torch.zeros(self.size, dtype=torch.long, device=like.device)
        if self._embeddings.shape[1] != like.shape[1]:
            raise ValueError(
                f'embeddings are {like.shape[1]} wide, those in the memory '
                f'{self._embeddings.shape[1]}: it comes from another model; load weights without '
                'the keys of its memory'
            )
        self._embeddings = self._embeddings.to(like.device)
        self._labels = self._labels.to(like.device)

    def _forget_another_run(self) -> None:
        """Clear the memory of another run; modules only know the iteration, not ``load_from``."""
        if self._is_loaded and MessageHub.get_current_instance().get_info('iter') == 0:
            print_log(f'Memory: {self._count} embeddings of another run are dropped.', 'current')
            self.clear()
        self._is_loaded = False

    def _save_to_state_dict(self, destination: dict, prefix: str, keep_vars: bool) -> None:
        """Write tensors only: the host broadcasts every entry of a model's ``state_dict()``."""
        if self.is_copy:
            return
        embeddings, labels = self.entries()  # (len, D), (len,)
        numbers = (torch.tensor(x, device=labels.device) for x in (self._pointer, self._iter))
        state = (embeddings.clone(), labels.clone(), *numbers)
        destination.update({prefix + name: x for name, x in zip(STATE, state, strict=True)})

    def _load_from_state_dict(
        self,
        state_dict: dict,
        prefix: str,
        local_metadata: dict,
        strict: bool,
        missing_keys: list[str],
        unexpected_keys: list[str],
        error_msgs: list[str],
    ) -> None:
        if self.is_copy:
            return
        # Not strict: weights without a memory, such as a classifier's, are complete.
        saved = {name: state_dict[prefix + name] for name in STATE if prefix + name in state_dict}
        saved = saved or state_dict.get(prefix + OLD_KEY, {})
        self.clear()
        if len(saved) == len(STATE):
            self._restore(saved)
        elif saved:
            error_msgs.append(f'of the memory {prefix[:-1]} only {", ".join(saved)} are there')

    def _restore(self, saved: Mapping[str, Tensor | int]) -> None:
        """Load the content of a checkpoint; from a larger memory, the newest rows that fit."""
        embeddings, labels, pointer = saved['embeddings'], saved['labels'], int(saved['pointer'])
        if len(labels) not in (0, self.size):  # a ring of another size starts at the oldest
            start = pointer if pointer < len(labels) else 0
            embeddings = embeddings.roll(-start, 0)[-self.size :]
            labels = labels.roll(-start, 0)[-self.size :]
            pointer = len(labels)
        if len(labels):
            self._allocate(embeddings)
            self._count = len(labels)
            self._embeddings[: self._count] = embeddings
            self._labels[: self._count] = labels
            self._pointer = pointer % self.size
        self._iter = int(saved['iter'])
        self._is_loaded = True

    def extra_repr(self) -> str:
        """Return the settings, to print."""
        return f'size={self.size}, start_iter={self.start_iter}'
