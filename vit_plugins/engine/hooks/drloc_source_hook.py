"""Connect a head that wants tokens from inside the backbone with that backbone."""

from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmpretrain.registry import HOOKS

from ...models.heads.drloc_head import DRLocHead
from ...weights.bare_model import bare_model


@HOOKS.register_module()
class DRLocSourceHook(Hook):
    """Attach ``model.head``, a :class:`DRLocHead` with ``source``, to the model's backbone.

    A head cannot reach its sibling by itself. In a config::

        custom_hooks = [dict(type='DRLocSourceHook')]
    """

    def before_run(self, runner: Runner) -> None:
        """Attach once, before training, validation or testing.

        Args:
            runner: The runner whose model to connect.

        Raises:
            TypeError: If the model's head is not a DRLocHead.
        """
        model = bare_model(runner.model)
        head = getattr(model, 'head', None)
        if not isinstance(head, DRLocHead):
            raise TypeError(
                f'DRLocSourceHook needs a DRLocHead, the head of {type(model).__name__} is '
                f'{type(head).__name__}: remove the hook from custom_hooks'
            )
        if not head.sources:
            runner.logger.warning('DRLocSourceHook does nothing: DRLocHead has no source')
        head.attach(model)
