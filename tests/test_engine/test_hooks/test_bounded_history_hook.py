"""Logged values are kept only as long as something reads them."""

import copy
from types import SimpleNamespace

import pytest
from mmengine.logging import MessageHub
from mmengine.runner import LogProcessor
from torch.utils.data import DataLoader, IterableDataset

from vit_plugins.engine.hooks import BoundedHistoryHook


class Stream(IterableDataset):
    """A dataset without a length."""

    def __iter__(self):
        return iter(())


@pytest.fixture
def runner(tmp_path):
    loop = SimpleNamespace(dataloader=range(4), val_interval=1)
    return SimpleNamespace(
        message_hub=MessageHub(f'histories of {tmp_path}'),
        log_processor=LogProcessor(window_size=2),
        train_loop=loop,
        val_loop=SimpleNamespace(dataloader=range(3)),
        iter=0,
    )


def train(hook, runner, steps=600):
    """Log the number of each step; return the values that remain."""
    hook.before_train(runner)
    for _ in range(steps):
        runner.message_hub.update_scalar('train/loss', runner.iter)
        hook.after_train_iter(runner, 0)
        runner.iter += 1
    return runner.message_hub.get_scalar('train/loss').data[0].tolist()


def test_the_newest_values_are_kept(runner):
    assert train(BoundedHistoryHook(50), runner) == list(range(550, 600))
    assert len(train(BoundedHistoryHook(), runner)) == 50 + 600  # fewer than the usual bound


@pytest.mark.parametrize(
    ('of_log', 'of_loop', 'kept'),
    [
        ({}, {}, 4),  # an epoch, of which the learning curve takes the mean
        ({'window_size': 7}, {}, 7),
        ({}, {'val_interval': 11}, 11),
        ({'custom_cfg': [{'data_src': 'loss', 'method_name': 'mean', 'window_size': 9}]}, {}, 9),
        (
            {'custom_cfg': [{'data_src': 'loss', 'method_name': 'mean', 'window_size': 'epoch'}]},
            {},
            4,
        ),
        (
            {'custom_cfg': [{'data_src': 'loss', 'method_name': 'max', 'window_size': 'global'}]},
            {},
            600,
        ),
        ({'custom_cfg': [{'data_src': 'loss', 'method_name': 'max'}]}, {}, 600),
    ],
)
def test_what_something_reads_is_kept(runner, of_log, of_loop, kept):
    runner.log_processor = LogProcessor(**{'window_size': 2, **of_log})
    vars(runner.train_loop).update(of_loop)
    assert len(train(BoundedHistoryHook(1), runner)) == kept


@pytest.mark.parametrize('loop', ['train_loop', 'val_loop'])
def test_without_a_length_of_an_epoch_everything_is_kept(runner, loop):
    getattr(runner, loop).dataloader = DataLoader(Stream())
    assert len(train(BoundedHistoryHook(1), runner)) == 600


def test_what_a_checkpoint_brings_is_bounded_too(runner, tmp_path):
    train(BoundedHistoryHook(), runner)
    saved = copy.deepcopy(runner.message_hub.state_dict())
    runner.message_hub = MessageHub(f'resumed {tmp_path}')
    runner.message_hub.load_state_dict(saved)
    assert train(BoundedHistoryHook(5), runner, steps=1) == [596, 597, 598, 599, 600]


def test_a_length_that_keeps_nothing_is_refused():
    with pytest.raises(ValueError, match='length must be at least 1, got 0'):
        BoundedHistoryHook(0)
