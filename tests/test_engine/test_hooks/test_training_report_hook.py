"""What is said at the end where a short job does not get; tests of the tools cover the rest."""

import shlex
from types import SimpleNamespace

from mmengine.logging import MessageHub, MMLogger
from mmpretrain.registry import MODELS
from toy_training import CLASSIFIER, RETRIEVER

from vit_plugins.engine.hooks import CrashSafeCheckpointHook, TrainingReportHook


def report_of(folder, hub, hooks, model=CLASSIFIER):
    runner = SimpleNamespace(
        work_dir=str(folder),
        hooks=hooks,
        message_hub=hub,
        val_loop=None,
        model=MODELS.build(model),
        logger=MMLogger.get_current_instance(),
    )
    TrainingReportHook().after_train(runner)
    return (folder / 'report.txt').read_text()


def test_the_next_commands_are_those_of_a_classifier_with_any_number_of_classes(tmp_path):
    """No table is kept of more than 100 classes, so nothing is in the message hub."""
    hub = MessageHub(str(tmp_path))
    assert 'vit-plugins predict' in report_of(tmp_path, hub, [])
    assert 'vit-plugins' not in report_of(tmp_path, hub, [], RETRIEVER)


def test_a_run_that_validates_no_more_says_whose_weights_are_the_best(tmp_path):
    """It was validated before, then went on with --no-validate in a folder with a space."""
    folder = tmp_path / 'my run'
    folder.mkdir()
    saved = CrashSafeCheckpointHook(save_best='accuracy/top1')
    saved.best_ckpt_path = str(folder / 'best_accuracy_top1_epoch_1.pth')
    saved.last_ckpt = str(folder / 'epoch_4.pth')
    hub = MessageHub(str(folder))
    hub.update_info('best_confusion', dict(score=50.0, epoch=1, confusion=[[1, 0], [1, 0]]))
    text = report_of(folder, hub, [saved])
    commands = [shlex.split(line) for line in text.splitlines() if line.startswith('  ')]
    assert commands[0] == ['vit-plugins', 'test', str(folder)]
    assert commands[1][:3] == ['vit-plugins', 'predict', str(folder)]
    assert f"--checkpoint '{saved.last_ckpt}'" in text
