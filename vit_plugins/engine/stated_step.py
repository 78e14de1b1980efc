"""A runner whose checkpoints say the epoch and the iteration that the hook states."""

from typing import Any


class StatedStep:
    """Mixin for a runner: a checkpoint that is written after a validation resumes where it was.

    ``CheckpointHook`` states epoch and iteration in ``meta``. The host's ``FlexibleRunner``
    replaces them by those of a save at the end of an epoch, before the validation counts it. With
    ``save_best``, ``epoch_1.pth`` is written again after its validation, would then say epoch 2,
    and a resumed training would leave an epoch out without a word.
    """

    _stated: dict[str, int] | None = None

    def save_checkpoint(
        self, *args: Any, meta: dict[str, Any] | None = None, **kwargs: Any
    ) -> None:
        """Save a checkpoint.

        Args:
            *args: As in the host's runner.
            meta: As in the host's runner; its ``epoch`` and ``iter`` are kept.
            **kwargs: As in the host's runner.
        """
        self._stated = {key: meta[key] for key in ('epoch', 'iter') if key in (meta or {})}
        super().save_checkpoint(*args, meta=meta, **kwargs)

    def call_hook(self, fn_name: str, **kwargs: Any) -> None:
        """Call a function of all hooks; first put back what was stated.

        Args:
            fn_name: Name of the function.
            **kwargs: Its arguments.
        """
        if fn_name == 'before_save_checkpoint' and self._stated:
            kwargs['checkpoint']['meta'].update(self._stated)
        super().call_hook(fn_name, **kwargs)
