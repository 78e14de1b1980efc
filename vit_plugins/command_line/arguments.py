"""Add the arguments that several tools share."""

import argparse
from collections.abc import Sequence

from .data_arguments import add_data_arguments

DEVICES = ('cpu', 'cuda', 'mps')


class ConfigOptions(argparse.Action):
    """MMEngine's ``DictAction``, imported only when the option is used: MMEngine imports torch."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Sequence[str],
        option_string: str | None = None,
    ) -> None:
        """Store the settings in the namespace as a dict."""
        if wrong := [value for value in values if '=' not in value]:
            parser.error(f'{option_string} takes KEY=VALUE, without spaces, got {wrong[0]!r}')
        from mmengine.config import DictAction

        action = DictAction(self.option_strings, self.dest, nargs=self.nargs)
        action(parser, namespace, values, option_string)


def add_options_argument(parser: argparse.ArgumentParser) -> None:
    """Add ``--cfg-options``.

    Args:
        parser: The parser of a tool.
    """
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=ConfigOptions,
        help='settings that replace those of the config, as key.of.setting=value; '
        'a list as key="[a,b]" or key=a,b',
    )


def add_shared_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that training and testing have in common.

    Args:
        parser: The parser of a tool.
    """
    parser.add_argument('--work-dir', help='folder for logs and checkpoints')
    add_data_arguments(parser)
    parser.add_argument(
        '--no-verify',
        action='store_true',
        help='with --data-root: do not check first that every image can be opened',
    )
    parser.add_argument(
        '--amp', action='store_true', help='mixed precision: fp16 on a GPU, bf16 on a CPU'
    )
    parser.add_argument(
        '--device', choices=DEVICES, help='default: the first GPU, or the CPU if there is none'
    )
    parser.add_argument(
        '--no-pin-memory', action='store_true', help='do not pin the memory of dataloaders'
    )
    add_options_argument(parser)
    parser.add_argument('--debug', action='store_true', help='show the traceback of an error')
    parser.add_argument(
        '--launcher',
        choices=['none', 'pytorch', 'slurm', 'mpi'],
        default='none',
        help='the program that started the ranks of a distributed run',
    )
    # torch.distributed.launch uses both spellings.
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0)
