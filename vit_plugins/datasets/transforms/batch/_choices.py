"""Apply one of several operations to each image of a batch, to no more images than chose it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Tensor

from .batch_transform import upload

Operation = Callable[[Tensor, Tensor], Tensor]


def apply_choices(
    images: Tensor, choice: Tensor, strength: Tensor, operations: Sequence[Operation | None]
) -> Tensor:
    """Return a batch in which each image went through the operation chosen for it.

    The choices are known on the CPU, and with them the number of images of each operation: the
    device gets lists of images and is never asked for one.

    Args:
        images: Shape (B, C, H, W).
        choice: The number of the operation of each image, int64 of shape (B,) on the CPU.
        strength: What the operation needs to know, float32 of shape (B, ...) on the CPU.
        operations: Functions of images and strengths; None leaves the images alone.
    """
    order = choice.argsort(stable=True)
    counts = choice.bincount(minlength=len(operations)).tolist()
    chosen = upload(order, images.device).split(counts)
    strengths = upload(strength[order], images.device).split(counts)
    results = images.clone()
    for operation, which, strong in zip(operations, chosen, strengths, strict=True):
        if operation is not None and len(which):
            results.index_copy_(0, which, operation(images.index_select(0, which), strong))
    return results
