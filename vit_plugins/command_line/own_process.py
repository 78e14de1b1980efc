"""Check whether this process is a command of this package."""

import itertools
import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from ..resources import resource_root

# Files of tools/. Another script that a user puts there is not a command of this package.
TOOLS = (
    'analyze_embeddings',
    'browse_augment',
    'convert_checkpoint',
    'evidence',
    'export',
    'frozen_features',
    'fuzz',
    'kfold',
    'look',
    'predict',
    'probe',
    'prune',
    'publish',
    'report',
    'retrieve',
    'study',
    'test',
    'train',
)


def is_own_command(argv: Sequence[str], words: Sequence[str]) -> bool:
    """Return whether this process is a command of this package, not a user's program.

    Args:
        argv: ``sys.argv``; during the import by ``python -m`` it begins with ``-m``.
        words: ``sys.orig_argv``, the words with which Python was started.
    """
    if argv[:1] == ['-m']:
        return ('-m', 'vit_plugins') in itertools.pairwise(words)
    script = Path(argv[0] if argv else '').resolve()
    if script.stem == 'vit-plugins':
        return True
    return script.stem in TOOLS and script.parent == resource_root() / 'tools'


def short_words(words: Sequence[str]) -> list[str]:
    """Return words of a command with names in the place of packaged recipes.

    A path into the environment is of no use once that has moved.

    Args:
        words: The words.
    """
    recipes = resource_root() / 'configs'
    return [
        Path(word).stem
        if word.endswith(('.py', '.yaml')) and Path(word).resolve().is_relative_to(recipes)
        else word
        for word in words
    ]


def typed_command(argv: Sequence[str] | None = None) -> str:
    """Return the shell command that starts this process again.

    Args:
        argv: Default: ``sys.argv``.
    """
    argv = sys.argv if argv is None else argv
    if not is_own_command(argv, sys.orig_argv):
        return shlex.join(['python', *argv])
    tool = Path(argv[0]).stem
    words = short_words(argv[1:] if tool == 'vit-plugins' else [tool, *argv[1:]])
    ranks = os.environ.get('WORLD_SIZE', '1')
    if ranks == '1':
        return shlex.join(['vit-plugins', *words])
    launcher = f'python -m torch.distributed.run --nproc_per_node={ranks} -m vit_plugins'
    return f'{launcher} {shlex.join(words)}'
