"""The command line: ``python -m vit_plugins train|test|predict|retrieve|...``."""

import argparse
import ast
import difflib
import fnmatch
import runpy
import shutil
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from . import register
from .benchmarks.arguments import make_parser as make_bench_parser
from .resources import resource_root
from .weights.index import index_models

TOOLS = {
    'train': 'train a model: train CONFIG [options of tools/train.py]',
    'test': 'evaluate a checkpoint: test CONFIG CHECKPOINT [options of tools/test.py]',
    'predict': 'classify images: predict WORK_DIR IMAGES... [options of tools/predict.py]',
    'retrieve': 'search photos: retrieve index|query GALLERY IMAGES... [of tools/retrieve.py]',
    'export': 'write a model to ONNX or others: export WORK_DIR [options of tools/export.py]',
    'publish': 'slim weights with a model card: publish WORK_DIR OUT_DIR [of its tool]',
    'study': 'run a grid of trainings: study STUDY.yaml [options of tools/study.py]',
    'kfold': 'cross-validate: kfold CONFIG [options of tools/kfold.py]',
    'probe': 'score frozen features: probe CONFIG|WORK_DIR [options of tools/probe.py]',
    'convert_checkpoint': 'take official weights: convert_checkpoint FILE OUT.pth [of its tool]',
    'browse_augment': 'draw what a pipeline does: browse_augment CONFIG [of its tool]',
    'analyze_embeddings': 'compare descriptors: analyze_embeddings NAME=WHERE... [of its tool]',
}
SUFFIXES = ('.py', '.yaml')
TAKES_CONFIG = ('train', 'test', 'study', 'kfold', 'browse_augment')  # as first argument


def config_files() -> list[Path]:
    """List the packaged recipes and studies, relative to the folder ``configs/``."""
    root = resource_root() / 'configs'
    files = (path.relative_to(root) for path in root.rglob('*') if path.suffix in SUFFIXES)
    return sorted(path for path in files if path.parts[0] != '_base_')


def find_config(name: str) -> Path:
    """Find a packaged recipe.

    Args:
        name: Its path (``configs/convit/x.py``, ``convit/x.py``), its file name with or without
            the ending, or the name of a model of the index.

    Raises:
        ValueError: There is none; the message names the nearest.
    """
    root = resource_root()
    for file in config_files():
        if name in (f'configs/{file}', str(file), file.name, file.stem):
            return root / 'configs' / file
    models = index_models()
    if name in models:
        return root / models[name].config
    names = {*(file.stem for file in config_files()), *models}
    near = difflib.get_close_matches(Path(name).stem, names, n=3)
    hint = f'did you mean {", ".join(near)}?' if near else 'see the list'
    raise ValueError(f'no config or model is called {name}: {hint} (python -m vit_plugins list)')


def _folded(files: list[Path]) -> list[str]:
    """Name the files of ``configs/METHOD/``, and the folders below it with their number."""
    folders = Counter(file.parent for file in files if len(file.parts) > 2)
    names = [str(file) for file in files if file.parent not in folders]
    return sorted(names + [f'{path}/ ({n}; list {path})' for path, n in folders.items()])


def list_entries(pattern: str = '') -> str:
    """Write the models and recipes whose name matches as text.

    Args:
        pattern: With ``*`` and ``?`` as in a shell, else a part of the name; without one, all
            that there is, with the folders of a method's datasets as one line each.

    Raises:
        ValueError: Nothing matches; the message names the nearest.
    """
    glob = pattern if set('*?[') & set(pattern) else f'*{pattern}*'
    models = {name: m for name, m in index_models().items() if fnmatch.fnmatch(name, glob)}
    files = [
        file
        for file in config_files()
        if fnmatch.fnmatch(str(file), glob) or fnmatch.fnmatch(file.name, glob)
    ]
    configs = [str(file) for file in files] if pattern else _folded(files)
    if not models and not configs:
        find_config(pattern)  # raises, with suggestions
    lines = ['models (mmpretrain.get_model, --pretrained):'] if models else []
    for name, model in models.items():
        size = f'{model.metadata.parameters / 1e6:6.1f} M'
        lines.append(f'  {name:45} {size}  {"weights" if model.weights else "-"}')
    lines += [f'configs (in {resource_root() / "configs"}):'] if configs else []
    return '\n'.join(lines + [f'  {name}' for name in configs])


def _bases(config: Path) -> list[Path]:
    """Read which files a config stands on; ours name them in a literal."""
    if config.suffix == '.yaml':
        from .studies.study_file import named_files  # torch, which `list` does without

        return list(named_files(config))
    for node in ast.parse(config.read_text(encoding='utf-8')).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == '_base_':
            value = ast.literal_eval(node.value)
            return [
                config.parent / base for base in ([value] if isinstance(value, str) else value)
            ]
    return []


def _with_bases(config: Path) -> Iterable[Path]:
    yield config.resolve()
    for base in _bases(config):
        yield from _with_bases(base)


def copy_config(name: str, folder: str | Path, force: bool = False) -> Path:
    """Copy a recipe and the files it stands on, so that the copy can be edited and trained.

    Args:
        name: As :func:`find_config` takes it.
        folder: Where to; the recipe keeps its place relative to ``configs/``.
        force: Whether to replace files that are there and differ.

    Returns:
        The copied recipe.

    Raises:
        ValueError: There is no such recipe.
        FileExistsError: A file that differs is in the way.
    """
    root = (resource_root() / 'configs').resolve()
    config = find_config(name).resolve()
    targets = {file: Path(folder) / file.relative_to(root) for file in _with_bases(config)}
    for file, target in targets.items():
        if target.exists() and not force and target.read_bytes() != file.read_bytes():
            raise FileExistsError(f'{target} is there and differs; --force replaces it')
    for file, target in targets.items():
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, target)
    return targets[config]


def _with_packaged_config(arguments: list[str]) -> list[str]:
    """Replace a recipe given by name, or by a path that is not here, by its packaged file."""
    return [
        str(find_config(argument))
        if (i == 0 or argument.endswith(SUFFIXES))
        and not argument.startswith('-')
        and not Path(argument).exists()
        else argument
        for i, argument in enumerate(arguments)
    ]


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
        prog='python -m vit_plugins',
        description='Train, test and use the recipes that come with vit_plugins, from any folder.',
        epilog='Several processes: python -m torch.distributed.run --nproc_per_node=N -m '
        'vit_plugins train CONFIG --launcher pytorch',
    )
    commands = parser.add_subparsers(dest='command', metavar='COMMAND', required=True)
    for name, text in TOOLS.items():
        commands.add_parser(name, help=text, add_help=False)
    commands.add_parser('bench', help='time against peers: bench PART...', add_help=False)
    listing = commands.add_parser('list', help='show models and configs: list [PATTERN]')
    listing.add_argument('pattern', nargs='?', default='', help='a part of the name, or a glob')
    copying = commands.add_parser(
        'copy-config', help='copy a config to edit: copy-config NAME DIR'
    )
    copying.add_argument('name', help='a config or model as `list` shows it')
    copying.add_argument('folder', metavar='DIR', help='where to; made if absent')
    copying.add_argument('--force', action='store_true', help='replace files that differ')
    return parser


def _answer(args: argparse.Namespace) -> str:
    if args.command == 'list':
        return list_entries(args.pattern)
    register()  # what reads a config may look its components up
    copied = copy_config(args.name, args.folder, args.force)
    tool = 'study' if copied.suffix == '.yaml' else 'train'
    return f'copied, with the files it stands on. Now:\n  python -m vit_plugins {tool} {copied}'


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
            print(_answer(_parser().parse_args(argv)))
            return 0
    except (ValueError, FileExistsError) as error:
        print(f'python -m vit_plugins: {error}', file=sys.stderr)
        return 2
    _run_tool(argv[0], arguments)
    return 0


if __name__ == '__main__':
    sys.exit(main())
