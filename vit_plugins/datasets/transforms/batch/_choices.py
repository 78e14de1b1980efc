"""Apply one of several operations to each image of a batch, with no computation in vain."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Tensor

from .batch_transform import upload

Operation = Callable[[Tensor, Tensor], Tensor]


def apply_choices(
    images: Tensor, choice: Tensor, strength: Tensor, operations: Sequence[Operation | None]
) -> Tensor:
    """Return a batch in which the operation chosen for each image was applied to it.

    Each operation computes only the images that chose it. The choices are known on the CPU, so
    the CPU never waits for the device to find out how many images these are.

    Args:
        images: Shape (B, C, H, W).
        choice: The index of each image's operation, int64 of shape (B,) on the CPU.
        strength: The strength for each image's operation, float32 of shape (B, ...) on the CPU.
        operations: Functions of images and strengths. None stands for no change.
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
