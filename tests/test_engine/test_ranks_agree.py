"""A training on two ranks, under DDP or FSDP, equals one process on the same batches."""

import copy
import os
import socket

import pytest
import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.optim import build_optim_wrapper
from mmpretrain.registry import MODELS
from mmpretrain.utils import register_all_modules
from torch import multiprocessing as mp

from vit_plugins.datasets.seeds import seed_streams, step_seed
from vit_plugins.engine.grouped_step import can_join_groups
from vit_plugins.engine.launch import build_trainer
from vit_plugins.engine.ranks import end_ranks, start_ranks
from vit_plugins.engine.strategies import portable_fsdp_strategy
from vit_plugins.weights.loading import load_weights

SEED = 3  # that of the toy
MAX_NORM = 0.3
OPTIM_WRAPPER = dict(
    optimizer=dict(type='AdamW', lr=1e-2, weight_decay=0.3, eps=1e-4, foreach=True),
    paramwise_cfg=dict(flat_decay_mult=0.0),
    clip_grad=dict(max_norm=MAX_NORM),
)
JOIN = dict(type='GroupedStepHook', on_cpu=True)  # for the ranks, not for the one process
WAYS = dict(ddp={}, fsdp=dict(strategy=dict(type='PortableFSDPStrategy')))
needs_streams = pytest.mark.skipif(
    not portable_fsdp_strategy.has_cpu_streams(), reason='torch cannot shard on a CPU'
)


class KeepSteps(Hook):
    """Keep batch, learning rate and loss of each step."""

    priority = 'LOWEST'

    def __init__(self):
        self.steps = []

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        self.batch = copy.deepcopy(data_batch)
        self.rate = runner.optim_wrapper.get_lr()['lr'][0]

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        self.steps.append((self.batch, self.rate, outputs['loss'].item()))


def train_rank(rank, port, config):
    """Train as one of two ranks, with the functions of the command."""
    torch.set_num_threads(1)
    register_all_modules(init_default_scope=True)
    import toy_training  # noqa: F401  (registers the images)

    os.environ.update(MASTER_ADDR='127.0.0.1', MASTER_PORT=str(port), WORLD_SIZE='2')
    os.environ.update(RANK=str(rank), LOCAL_RANK=str(rank), CUDA_VISIBLE_DEVICES='')
    cfg = Config(config)
    start_ranks(cfg, 'pytorch')
    runner = build_trainer(cfg, quiet=True)
    runner.register_hook(kept := KeepSteps())
    runner.train()
    assert not can_join_groups(runner.optim_wrapper.optimizer)  # they are joined already
    torch.save(kept.steps, f'{cfg.work_dir}/rank{rank}.pt')
    end_ranks()


def train_on_two_ranks(config):
    """Return the steps that each rank kept."""
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = free.getsockname()[1]
    # not forked from here: torch refuses that after a backward pass
    mp.get_context('forkserver').set_forkserver_preload(['vit_plugins', 'mmpretrain.models'])
    mp.start_processes(train_rank, (port, config), nprocs=2, start_method='forkserver')
    files = [f'{config["work_dir"]}/rank{rank}.pt' for rank in range(2)]
    return [torch.load(file, weights_only=False) for file in files]


def train_in_one_process(model, wrapper, kept):
    """Compute the steps of all ranks by hand; return each rank's losses and the norms."""
    losses, norms = [[] for _ in kept], []
    for step, of_ranks in enumerate(zip(*kept, strict=True)):
        rate = of_ranks[0][1]
        for rank, (batch, *_) in enumerate(of_ranks):
            seed_streams(step_seed(SEED, step, rank))
            batch = model.data_preprocessor(copy.deepcopy(batch), training=True)
            loss, _ = model.parse_losses(model(**batch, mode='loss'))
            (loss / len(kept)).backward()
            losses[rank].append(loss.item())
        norms.append(torch.nn.utils.clip_grad_norm_(model.parameters(), MAX_NORM).item())
        for group in wrapper.optimizer.param_groups:
            group['lr'] = rate
        wrapper.optimizer.step()
        wrapper.optimizer.zero_grad()
    return losses, norms


@pytest.fixture
def start(toy, tmp_path):
    """Return a tiny model, the optimizer of its whole parameters, and the file of its weights."""
    preprocessor = dict(num_classes=4, mean=[127] * 3, std=[60] * 3)
    model = MODELS.build(copy.deepcopy(toy.CLASSIFIER) | dict(data_preprocessor=preprocessor))
    model.init_weights()
    model.train()
    file = tmp_path / 'start.pth'
    torch.save(dict(state_dict=model.state_dict()), file)
    return model, build_optim_wrapper(model, copy.deepcopy(OPTIM_WRAPPER)), str(file)


@pytest.mark.slow
@pytest.mark.parametrize('way', ['ddp', pytest.param('fsdp', marks=needs_streams)])
def test_two_ranks_are_one_process(toy, tmp_path, start, way):
    model, wrapper, file = start
    ours = dict(optim_wrapper=OPTIM_WRAPPER, load_from=file, custom_hooks=[JOIN], **WAYS[way])
    kept = train_on_two_ranks(toy.settings(tmp_path / 'ranks') | ours)
    losses, norms = train_in_one_process(model, wrapper, kept)
    assert len(norms) == 6
    assert max(norms) > MAX_NORM  # some gradient was clipped
    for found, expected in zip(kept, losses, strict=True):
        torch.testing.assert_close([loss for *_, loss in found], expected, rtol=1e-5, atol=0)
    saved = torch.load(tmp_path / 'ranks/epoch_3.pth', weights_only=False)
    torch.testing.assert_close(
        dict(saved['state_dict']), dict(model.state_dict()), rtol=1e-4, atol=1e-6
    )
    theirs = wrapper.optimizer.state_dict()
    torch.testing.assert_close(saved['optimizer']['state'], theirs['state'], rtol=1e-3, atol=1e-6)
    decays = [
        [group['weight_decay'] for group in state['param_groups']]
        for state in (saved['optimizer'], theirs)
    ]
    assert decays[0] == decays[1]
    assert set(decays[0]) == {0.0, 0.3}

    load_weights(model, saved, 'epoch_3.pth')  # strictly, in one process
    halfway = str(tmp_path / 'ranks/epoch_2.pth')
    again = ours | dict(load_from=halfway, resume=True)
    train_on_two_ranks(toy.settings(tmp_path / 'resumed') | again)
    resumed = torch.load(tmp_path / 'resumed/epoch_3.pth', weights_only=False)
    torch.testing.assert_close(resumed['state_dict'], saved['state_dict'], rtol=0, atol=0)
    alone = toy.settings(tmp_path / 'alone') | dict(optim_wrapper=OPTIM_WRAPPER)
    _, finished = toy.train(alone, resume=halfway)
    steps = {state['step'].item() for state in finished['optimizer']['state'].values()}
    assert steps == {4 + 4}  # two epochs of 2 steps on two ranks, one of 4 alone
