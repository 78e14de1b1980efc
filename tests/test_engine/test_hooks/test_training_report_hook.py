"""What is said at the end where a short job does not get; tests of the tools cover the rest."""

import shlex
from types import SimpleNamespace

from mmengine.logging import MessageHub, MMLogger

from vit_plugins.engine.hooks import CrashSafeCheckpointHook, TrainingReportHook


def test_a_run_that_validates_no_more_says_whose_weights_are_the_best(tmp_path):
    """It was validated before, then went on with --no-validate in a folder with a space."""
    folder = tmp_path / 'my run'
    folder.mkdir()
    saved = CrashSafeCheckpointHook(save_best='accuracy/top1')
    saved.best_ckpt_path = str(folder / 'best_accuracy_top1_epoch_1.pth')
    saved.last_ckpt = str(folder / 'epoch_4.pth')
    hub = MessageHub(str(folder))
    hub.update_info('best_confusion', dict(score=50.0, epoch=1, confusion=[[1, 0], [1, 0]]))
    runner = SimpleNamespace(
        work_dir=str(folder), hooks=[saved], message_hub=hub, val_loop=None,
        logger=MMLogger.get_current_instance(),
    )  # fmt: skip
    TrainingReportHook().after_train(runner)
    text = (folder / 'report.txt').read_text()
    commands = [shlex.split(line) for line in text.splitlines() if line.startswith('  ')]
    assert commands[0] == ['vit-plugins', 'test', str(folder)]
    assert commands[1][:3] == ['vit-plugins', 'predict', str(folder)]
    assert f"--checkpoint '{saved.last_ckpt}'" in text
