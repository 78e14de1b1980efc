"""The learning curve: correct points, complete after a resume, plotted without a display."""

from types import SimpleNamespace

import pytest
from mmengine.logging import MessageHub

from vit_plugins.engine.hooks import LearningCurveHook
from vit_plugins.visualization.curves import plot_learning_curve


@pytest.fixture
def runner(tmp_path) -> SimpleNamespace:
    hub = MessageHub(f'curve of {tmp_path}')
    loop = SimpleNamespace(epoch=0, iter=0)
    return SimpleNamespace(
        message_hub=hub, train_loop=loop, train_dataloader=range(4), val_loop=object(),
        work_dir=str(tmp_path), epoch=0, iter=0,
    )  # fmt: skip


def epoch(hook: LearningCurveHook, runner: SimpleNamespace, loss: float, accuracy: float) -> None:
    for i in range(4):
        runner.message_hub.update_scalar('train/loss', loss + (i - 1.5))
        runner.message_hub.update_scalar('train/lr', 1.0)
    hook.after_train_epoch(runner)
    runner.iter += 4
    runner.epoch = runner.train_loop.epoch = runner.epoch + 1
    hook.after_val_epoch(runner, {'accuracy/top1': accuracy, 'time': 3.0, 'matrix': [1]})


def test_points_are_epoch_means_and_survive_a_resume(runner, tmp_path):
    hook = LearningCurveHook(min_seconds=0)
    epoch(hook, runner, loss=2.0, accuracy=50.0)
    state = runner.message_hub.state_dict()  # what a checkpoint holds
    epoch(hook, runner, loss=9.0, accuracy=9.0)  # taken back by a crash

    resumed = MessageHub(f'resumed {tmp_path}')
    resumed.load_state_dict(state)
    runner.message_hub, runner.epoch, runner.iter = resumed, 1, 4
    epoch(LearningCurveHook(), runner, loss=1.0, accuracy=75.0)

    curves = resumed.get_info('learning_curve')
    assert curves['losses'] == {'loss': [[1, 2.0], [2, 1.0]]}
    assert curves['metrics'] == {'accuracy/top1': [[1, 50.0], [2, 75.0]]}
    assert (tmp_path / 'learning_curve.png').read_bytes().startswith(b'\x89PNG')


def test_short_epochs_are_not_slowed_but_the_end_is_plotted(runner, monkeypatch):
    plotted = []
    monkeypatch.setattr(
        'vit_plugins.engine.hooks.learning_curve_hook.plot_learning_curve',
        lambda losses, metrics, xlabel: (
            plotted.append(len(losses['loss'])) or plot_learning_curve(losses, metrics, xlabel)
        ),
    )
    hook = LearningCurveHook(min_seconds=1000)
    for _ in range(3):
        epoch(hook, runner, 1.0, 1.0)
    hook.after_train(runner)
    assert plotted == [1, 3]


def test_a_validation_on_its_own_has_no_curve(runner, tmp_path):
    LearningCurveHook().after_val_epoch(runner, {'accuracy/top1': 1.0})
    LearningCurveHook().after_train(runner)
    assert not list(tmp_path.iterdir())


def test_figure_holds_the_curves_and_leaves_pyplot_alone():
    import matplotlib.pyplot as plt

    figure = plot_learning_curve({'loss': [(1, 0.5), (2, 0.25)]}, {'top1': [(2, 90.0)]})
    losses, metrics = figure.axes
    assert losses.lines[0].get_xydata().tolist() == [[1, 0.5], [2, 0.25]]
    assert metrics.get_legend().get_texts()[0].get_text() == 'top1 90'
    assert metrics.get_xlabel() == 'epoch'
    assert len(plot_learning_curve({}, {'top1': [(1, 1.0)]}).axes) == 1
    assert len(plot_learning_curve({}, {}).axes) == 1
    assert plt.get_fignums() == []


def test_repr():
    assert repr(LearningCurveHook()) == (
        "LearningCurveHook(filename='learning_curve.png', min_seconds=15)"
    )
