"""The part of the hook that a short job does not show; tests of the tools cover the rest."""

from types import SimpleNamespace

import pytest
from mmengine.logging import MessageHub, MMLogger

from vit_plugins.engine.hooks import CrashSafeCheckpointHook


@pytest.mark.parametrize('number', [0, 1])
def test_one_checkpoint_is_not_enough(number):
    with pytest.raises(ValueError, match='leaves no whole checkpoint'):
        CrashSafeCheckpointHook(max_keep_ckpts=number)


def test_the_previous_best_stays_until_the_new_one_is_there(tmp_path):
    seen = []

    def save_checkpoint(out_dir, filename, *args, **kwargs):
        seen.append(sorted(path.name for path in tmp_path.glob('best_*')))
        (tmp_path / filename).write_bytes(b'whole')

    runner = SimpleNamespace(
        work_dir=str(tmp_path), epoch=1, iter=4, val_loop=None, save_checkpoint=save_checkpoint,
        logger=MMLogger.get_current_instance(), message_hub=MessageHub(str(tmp_path)),
        train_loop=SimpleNamespace(epoch=0, max_epochs=3),
    )  # fmt: skip
    hook = CrashSafeCheckpointHook(save_best='accuracy/top1')
    hook.before_train(runner)
    for runner.epoch, accuracy in ((1, 50.0), (2, 40.0), (3, 60.0), (4, 55.0)):
        hook.after_val_epoch(runner, {'accuracy/top1': accuracy})

    first, third = (f'best_accuracy_top1_epoch_{n}.pth' for n in (1, 3))
    assert seen == [[], [first]]
    assert [path.name for path in tmp_path.glob('best_*')] == [third]
    assert hook.best_ckpt_path == str(tmp_path / third)
    assert runner.message_hub.get_info('step_validated') == 4
