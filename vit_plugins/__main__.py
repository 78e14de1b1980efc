"""The command line: ``python -m vit_plugins train|test|predict|retrieve|...``."""

import argparse
import os
import runpy
import shlex
import sys
from difflib import get_close_matches

from . import register
from .benchmarks.arguments import make_parser as make_bench_parser
from .host.check import HostError
from .recipes.finding import SUFFIXES, find_config, is_config_here
from .recipes.listing import list_entries
from .resources import resource_root

TOOLS = {
    'train': 'train a model: train CONFIG',
    'test': 'evaluate a checkpoint: test WORK_DIR, or test CONFIG CHECKPOINT',
    'predict': 'classify images: predict WORK_DIR IMAGES...',
    'report': 'write a training, or several, as one HTML page: report WORK_DIR...',
    'retrieve': 'search photos: retrieve index|query GALLERY IMAGES...',
    'look': 'plot the inside of a model: look WORK_DIR [IMAGES...]',
    'prune': 'prune a ConViT by its gates: prune WORK_DIR',
    'export': 'write a model for ONNX Runtime or torch: export WORK_DIR',
    'publish': 'write weights and model card for publication: publish WORK_DIR OUT_DIR',
    'study': 'run a grid of trainings: study STUDY.yaml',
    'kfold': 'cross-validate: kfold CONFIG',
    'probe': 'score frozen features: probe WORK_DIR, or probe CONFIG CHECKPOINT',
    'convert_checkpoint': 'convert official weights: convert_checkpoint FILE OUT.pth',
    'browse_augment': 'plot what a pipeline does to images: browse_augment CONFIG',
    'analyze_embeddings': 'compare descriptors: analyze_embeddings NAME=WHERE...',
}
TAKES_CONFIG = ('train', 'test', 'study', 'kfold', 'probe', 'browse_augment')  # as first argument


def _with_packaged_config(arguments: list[str]) -> list[str]:
    """Replace a recipe given by name, or by a path that is not here, by its packaged file."""
    return [
        str(find_config(argument)) if _is_a_recipe(i, arguments) else argument
        for i, argument in enumerate(arguments)
    ]


def _is_a_recipe(i: int, arguments: list[str]) -> bool:
    argument = arguments[i]
    if argument.startswith('-') or is_config_here(argument):
        return False
    return i == 0 or (argument.endswith(SUFFIXES) and arguments[i - 1] != '--data')


def _run_tool(name: str, arguments: list[str]) -> None:
    """Run a file of ``tools/`` as if it had been called."""
    tool = str(resource_root() / 'tools' / f'{name}.py')
    sys.argv = [tool, *arguments]
    runpy.run_path(tool, run_name='__main__')


def _bench(arguments: list[str]) -> int:
    """Measure; wrong arguments are refused before torch is imported."""
    make_bench_parser().parse_args(arguments)
    register()
    from .benchmarks.command import main as bench

    return bench(arguments)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog='vit-plugins',
        description='Train, test and use the recipes that come with vit_plugins, from any folder.',
        epilog='vit-plugins COMMAND --help shows the options of a command. Several processes: '
        'python -m torch.distributed.run --nproc_per_node=N -m vit_plugins train CONFIG '
        '--launcher pytorch',
    )
    commands = parser.add_subparsers(dest='command', metavar='COMMAND', required=True)
    for name, text in TOOLS.items():
        commands.add_parser(name, help=text, add_help=False)
    commands.add_parser(
        'bench', help='measure time and memory against others: bench PART...', add_help=False
    )
    listing = commands.add_parser('list', help='show models and configs: list [PATTERN]')
    listing.add_argument('pattern', nargs='?', default='', help='a part of the name, or a glob')
    copying = commands.add_parser(
        'copy-config', help='copy a config so that it can be edited: copy-config NAME DIR'
    )
    copying.add_argument('name', help='name of a config or model, as `list` shows it')
    copying.add_argument(
        'folder', metavar='DIR', help='folder for the copy; it is created if necessary'
    )
    copying.add_argument('--force', action='store_true', help='replace files that differ')
    copying.add_argument(
        '--data',
        metavar='NAME|FILE',
        help='write one file with everything in it, for this dataset: any tool of MMPretrain '
        'runs it',
    )
    copying.add_argument(
        '--fraction', type=float, metavar='F', help='the same, for this part of the images'
    )
    return parser


def _refuse_misspelt(argv: list[str]) -> None:
    """Name the command that is meant, where one is nearly written.

    Raises:
        ValueError: If so.
    """
    known = [*TOOLS, 'bench', 'list', 'copy-config']
    if argv and argv[0] not in known and (near := get_close_matches(argv[0], known, n=1)):
        raise ValueError(f'there is no command {argv[0]}: did you mean {near[0]}?')


def _answer(args: argparse.Namespace) -> str:
    if args.command == 'list':
        return list_entries(args.pattern)
    register()  # what reads a config may look its components up
    from .recipes.copying import copy_config, write_literal

    if args.data is not None or args.fraction is not None:
        written = write_literal(args.name, args.folder, args.data, args.fraction, args.force)
        return f'written, with everything in it. Now:\n  {_command("train", written)}'
    copied = copy_config(args.name, args.folder, args.force)
    tool = 'study' if copied.suffix == '.yaml' else 'train'
    return f'copied, with the files it stands on. Now:\n  {_command(tool, copied)}'


def _command(*words: object) -> str:
    return shlex.join(['vit-plugins', *map(str, words)])


def main(argv: list[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: The words after ``python -m vit_plugins``; those of this process by default.

    Returns:
        The exit status.
    """
    argv = sys.argv[1:] if argv is None else argv
    if argv and argv[0] == 'bench':
        return _bench(argv[1:])
    try:
        if argv and argv[0] in TOOLS:
            arguments = argv[1:]
            if argv[0] in TAKES_CONFIG:
                arguments = _with_packaged_config(arguments)
        else:
            _refuse_misspelt(argv)
            print(_answer(_parser().parse_args(argv)), flush=True)
            return 0
    except BrokenPipeError:  # the reader, as `head`, has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (ValueError, FileExistsError, FileNotFoundError, HostError) as error:
        print(f'vit-plugins: {error}', file=sys.stderr)
        return 1 if isinstance(error, HostError) else 2
    _run_tool(argv[0], arguments)
    return 0


if __name__ == '__main__':
    sys.exit(main())
