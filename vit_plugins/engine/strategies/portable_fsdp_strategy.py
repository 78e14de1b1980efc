"""Shard a model over ranks (FSDP), with the checkpoints of an ordinary training."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import Any

import torch
from mmengine._strategy import FSDPStrategy
from mmengine.device import get_device
from mmengine.dist import is_distributed, is_main_process
from mmengine.optim import OptimWrapper, build_optim_wrapper
from mmengine.registry import STRATEGIES
from torch import nn
from torch.distributed.fsdp import FullOptimStateDictConfig
from torch.distributed.fsdp import FullyShardedDataParallel as FSDP
from torch.distributed.fsdp.wrap import lambda_auto_wrap_policy

from ...fileio.atomic_backend import partial_suffix, sync_folder
from ...weights.bare_model import plain_name
from .numbered_state import named_state, numbered_state


@STRATEGIES.register_module()
class PortableFSDPStrategy(FSDPStrategy):
    """The host's ``FSDPStrategy`` with the numbers and files of a training in one process.

    Weights, gradients and the optimizer's state are split over the ranks (Zhao et al., "PyTorch
    FSDP", VLDB 2023). Each block of the backbone is collected from the ranks when it computes.
    Set it with ``strategy=dict(type='PortableFSDPStrategy')`` and start several ranks. It differs
    from the host's strategy:

    - It also runs on a CPU, with gloo.
    - Weight decay and learning rates follow the names and shapes of whole parameters. The host
      reads them from the shards, which are flat, so ``flat_decay_mult`` and ``bias_decay_mult``
      would apply to all weights or to none.
    - Gradients are clipped by the norm over all ranks, not by that of the shard.
    - A checkpoint is one file, which a training in one process or under DDP loads or resumes, and
      the other way round. It gets its name only when it is complete.
    - It resumes; the host passes the optimizer's state in an order that torch 2.0 had.

    Args:
        model_wrapper: Settings of ``MMFullyShardedDataParallel``, such as ``sharding_strategy``.
            Without ``auto_wrap_policy`` each block of the backbone is a unit.
        **kwargs: The other arguments of the host's strategy, except ``state_dict_cfg``.

    Raises:
        ValueError: If there is only one process, this torch cannot shard on a CPU (2.1 cannot), or
            settings contradict what the checkpoints need.
    """

    def __init__(self, *, model_wrapper: dict | None = None, **kwargs: Any) -> None:
        wrapper = {'type': 'MMFullyShardedDataParallel', **(model_wrapper or {})}
        if not wrapper.get('use_orig_params', True):
            raise ValueError(
                'use_orig_params=False leaves flat parameters, whose weight decay and checkpoints '
                'are not those of one process; remove it, or take the FSDPStrategy of MMEngine'
            )
        if 'state_dict_cfg' in kwargs:
            raise ValueError(
                f'state_dict_cfg ({kwargs["state_dict_cfg"]!r}) is not for this strategy, whose '
                'checkpoints are always whole; remove it, or take the FSDPStrategy of MMEngine'
            )
        super().__init__(model_wrapper=wrapper, state_dict_cfg='full', **kwargs)
        # On a CPU "offloading" copies nothing: all averages of AdamW would be one buffer of torch.
        self.optim_state_dict_config = FullOptimStateDictConfig(
            rank0_only=True, offload_to_cpu=get_device() != 'cpu'
        )
        if not is_distributed():
            raise ValueError(
                'PortableFSDPStrategy splits a model over several ranks, and this is a single '
                'process: start the ranks with tools/dist_train.sh CONFIG GPUS, or remove '
                '`strategy` from the config'
            )
        if get_device() == 'cpu' and not has_cpu_streams():
            raise ValueError(
                f'torch {torch.__version__} cannot shard a model on a CPU: take a newer torch, or '
                'remove `strategy` from the config'
            )

    def prepare(
        self, model: nn.Module | dict, *, optim_wrapper: Any = None, **kwargs: Any
    ) -> nn.Module | list:
        """Build the optimizer of the whole parameters, then shard both.

        Args:
            model: A model or its config.
            optim_wrapper: An optimizer wrapper or its config.
            **kwargs: As in the host's strategy.
        """
        if not self._prepared and isinstance(optim_wrapper, dict):
            if optim_wrapper.get('type') == 'AmpOptimWrapper':
                optim_wrapper.setdefault('use_fsdp', True)
            model = self.build_model(model)
            optim_wrapper = build_optim_wrapper(model, optim_wrapper)
        return super().prepare(model, optim_wrapper=optim_wrapper, **kwargs)

    def _wrap_model(self, model: nn.Module) -> nn.Module:
        if get_device() == 'cpu':  # the host names the GPU of this rank
            self.model_wrapper['device_id'] = torch.device('cpu')
        units = backbone_blocks(model)
        policy = partial(lambda_auto_wrap_policy, lambda_fn=lambda module: module in units)
        self.model_wrapper.setdefault('auto_wrap_policy', policy)
        return super()._wrap_model(model)

    def build_optim_wrapper(
        self, optim_wrapper: OptimWrapper, model: nn.Module | None = None
    ) -> OptimWrapper:
        """Replace the parameters of an optimizer by their shards.

        Args:
            optim_wrapper: The optimizer wrapper of the whole parameters.
            model: The sharded model.

        Raises:
            ValueError: If ``clip_grad`` has an argument that sharded gradients do not have.
        """
        shards = {plain_name(name): shard for name, shard in model.named_parameters()}
        self.parameter_names = []
        for group in optim_wrapper.optimizer.param_groups:
            names = [self.id_to_name[id(parameter)] for parameter in group['params']]
            group['params'] = [shards[name] for name in names]
            self.parameter_names += names
        if getattr(optim_wrapper, 'clip_func', None) is torch.nn.utils.clip_grad_norm_:
            _check_clip_grad(optim_wrapper.clip_grad_kwargs)
            optim_wrapper.clip_func = partial(_clip_whole_norm, model)
        return optim_wrapper

    def save_checkpoint(self, filename: str, **kwargs: Any) -> None:
        """Write one file, which appears under its name when it is complete.

        Args:
            filename: The file.
            **kwargs: As in the host's strategy.
        """
        partial_name = f'{filename}{partial_suffix()}'
        super().save_checkpoint(partial_name, **kwargs)
        if is_main_process():
            os.replace(partial_name, filename)
            sync_folder(Path(filename).parent)

    def optim_state_dict(self) -> dict:
        """Return the state of the whole optimizer on the first rank, as one process saves it."""
        whole = FSDP.optim_state_dict(self.model, self.optim_wrapper.optimizer)
        rest = self.optim_wrapper.state_dict()
        return {**rest, **numbered_state(whole, self.parameter_names)} if whole else {}

    def load_optim_state_dict(self, state_dict: dict) -> None:
        """Load the state of a whole optimizer; each rank keeps its shards.

        Args:
            state_dict: The state that one process, DDP or this strategy saved.
        """
        shards = FSDP.optim_state_dict_to_load(
            model=self.model,
            optim=self.optim_wrapper.optimizer,
            optim_state_dict=named_state(state_dict, self.parameter_names),
        )
        self.optim_wrapper.load_state_dict({**state_dict, **shards})


def backbone_blocks(model: nn.Module) -> set[nn.Module]:
    """Return the modules that the backbone keeps in lists: its blocks and stages.

    Args:
        model: A model with a ``backbone``; another one has none.
    """
    backbone = getattr(model, 'backbone', nn.Identity())
    lists = (module for module in backbone.modules() if isinstance(module, nn.ModuleList))
    return {block for blocks in lists for block in blocks}


def _check_clip_grad(settings: dict) -> None:
    unknown = sorted(set(settings) - {'max_norm', 'norm_type', 'error_if_nonfinite'})
    if unknown:
        raise ValueError(
            f'clip_grad has {", ".join(unknown)}, and gradients that are split over ranks are '
            'clipped with max_norm, norm_type and error_if_nonfinite only; remove the others'
        )


def has_cpu_streams() -> bool:
    """Return whether FSDP of this torch runs on a CPU: it asks for streams with a priority."""
    try:
        torch.cpu.Stream(priority=0)
    except TypeError:
        return False
    return True


def _clip_whole_norm(
    model: FSDP,
    parameters: list,
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
) -> torch.Tensor:
    norm = model.clip_grad_norm_(max_norm, norm_type)
    if error_if_nonfinite and not torch.isfinite(norm):
        raise RuntimeError(
            f'The norm of the gradients over all ranks is {float(norm)}, and clip_grad has '
            'error_if_nonfinite=True: lower the learning rate, or train without float16'
        )
    return norm
