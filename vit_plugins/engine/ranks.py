"""Start and end the process group of the ranks, on GPUs or on a CPU."""

import time
from datetime import timedelta

import torch.distributed as torch_dist
from mmengine.config import Config
from mmengine.device import get_device
from mmengine.dist import init_dist

from ..config_edits.walking import type_name


def start_ranks(cfg: Config, launcher: str) -> None:
    """Join the process group: NCCL on GPUs, gloo on a CPU, where the host cannot start one.

    In both, a rank waits for another for ``env_cfg.dist_cfg.timeout`` seconds at most.

    Args:
        cfg: The config; ``launcher`` and, on a CPU, ``model_wrapper_cfg`` are set.
        launcher: ``'none'`` for one process.

    Raises:
        ValueError: If the launcher is ``slurm`` or ``mpi`` without a GPU, the timeout is not a
            number of seconds, or ``model_wrapper_cfg`` shards the model, which only a
            ``strategy`` can do.
    """
    cfg.launcher = launcher
    if launcher == 'none':
        return
    wrapper = type_name(cfg.get('model_wrapper_cfg') or {})
    if wrapper == 'MMFullyShardedDataParallel':
        raise ValueError(
            f'model_wrapper_cfg of type {wrapper}: the runner that reads it asks the first rank '
            'alone for the weights to save, and waits for ever; set '
            "strategy=dict(type='PortableFSDPStrategy', model_wrapper=...) instead"
        )
    dist_cfg = (cfg.get('env_cfg') or {}).get('dist_cfg') or {}
    if get_device() != 'cpu':
        if not torch_dist.is_initialized():
            init_dist(launcher, **dist_cfg)
        return
    if launcher != 'pytorch':
        raise ValueError(
            f'--launcher {launcher} needs GPUs; on CPUs start the ranks with '
            'tools/dist_train.sh (--launcher pytorch)'
        )
    if not torch_dist.is_initialized():
        torch_dist.init_process_group('gloo', **_timeout(dist_cfg))
    # The host passes LOCAL_RANK as the device, which a CPU model refuses.
    cfg.model_wrapper_cfg = {
        'type': 'MMDistributedDataParallel',
        'broadcast_buffers': False,
        'find_unused_parameters': cfg.get('find_unused_parameters', False),
        **(cfg.get('model_wrapper_cfg') or {}),
        'device_ids': None,
    }


def _timeout(dist_cfg: dict) -> dict[str, timedelta]:
    seconds = dist_cfg.get('timeout')
    if seconds is None:
        return {}  # torch's default
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or seconds <= 0:
        raise ValueError(
            f'env_cfg.dist_cfg.timeout ({seconds!r}) must be a positive number of seconds, for '
            'example 1800'
        )
    return {'timeout': timedelta(seconds=seconds)}


def leave_whole(cfg: Config) -> None:
    """Leave out the sharding of a training: for a test each rank holds the whole model.

    Args:
        cfg: The config; edited.
    """
    if cfg.pop('strategy', None) is not None:
        cfg.pop('runner_type', None)


def end_ranks() -> None:
    """Leave the process group together with the other ranks; without a group, do nothing.

    A gloo thread that outlives the interpreter aborts a successful run (seen with torch 2.15).
    The pause gives threads time to release their locks: with torch 2.1 freeing a group joins a
    thread that may still wait for the interpreter's lock, and then hangs.
    """
    if torch_dist.is_initialized():
        torch_dist.barrier()
        time.sleep(0.5)
        torch_dist.destroy_process_group()
