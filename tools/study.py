"""Run a grid of trainings and compare them: ``python tools/study.py STUDY.yaml``."""

import vit_plugins  # first: how threads wait is set before torch is loaded

# isort: split
import argparse
import fnmatch
import itertools
import shlex
import signal
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from vit_plugins.command_line.data_arguments import add_data_arguments

DESCRIPTION = """\
Run a grid of trainings, each in a process and a folder of its own, and compare them.

Started again, it goes on: finished cells stay, one that was cut off resumes from its checkpoint.
A cell whose config is no longer that of its results is never mixed in: see --force. --records
keeps what the cells found in one small file, from which --collect makes the report anywhere.

At the end, or by --collect, report.md in the work dir has a table of the settings (metrics over
the seeds, parameters, 10^9 multiplications for one prediction, time, memory), one of the
differences paired by seed, and pictures: learning curves, the metric against an axis (plot) and,
where settings differ in it, against the multiplications. The tables are there as .csv, too.
"""

STUDY_FILE = """\
the study file (YAML):
  inherit: other.yaml     start from that file: mappings merge, null removes, the rest replaces
  name, about             of the report; the name is that of the file if not given
  define                  anything: a place for YAML anchors
  base: config.py         what the cells vary; relative to the study file
  data: NAME              as --data
  data_root: DIR          as --data-root
  options                 settings of every cell: {deep.path.of.setting: value}
  axes                    {axis: {level: settings}}: every combination is a cell. A level may have
                            _base_: other.py       another base config
                            _data_: svhn           another dataset
                            _stages_: [settings]   trainings that start from the weights of the
                                                   one before; the last one is measured
                            _scale_epochs_: 0.1    epochs / 0.1, for a tenth of the images
                            _x_: 5.7               its number on the x axis
  cells: [{axis: level or [levels]}]    only these combinations (an axis left out: all levels)
  exclude: [{axis: level or [levels]}]  not these
  tuned: [{where: {axis: level or [levels]}, set: settings}]
                          what a search chose for certain cells, as a learning rate
  seeds: [0, 1, 2]        of each cell
  seed_keys               settings that take the seed; [randomness.seed] if not given
  measure: test           tools/test.py once, on the last weights; or val: the last validation
  tests: {name: settings} several tests of the same weights; their metrics are name:metric
  metric: accuracy/top1   or a list
  compare                 {axis: , baseline: , levels: } or a list: differences paired by seed
  plot: {x: axis, label: of the x axis}   the metric against the number of a level
  train_args, test_args   lists of further arguments of tools/train.py and tools/test.py
"""


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=DESCRIPTION,
        epilog=STUDY_FILE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('study', help='study file')
    parser.add_argument(
        '--work-dir', type=Path, help='folder of cells and report; work_dirs/studies/NAME'
    )
    add_data_arguments(parser)
    parser.add_argument('--jobs', type=int, default=1, metavar='N', help='cells at a time')
    parser.add_argument('--threads', type=int, metavar='N', help='OMP_NUM_THREADS of each cell')
    parser.add_argument(
        '--only',
        metavar='PATTERN',
        help='cells whose name matches, or contains this; as in "three-augment/*"',
    )
    parser.add_argument(
        '--records',
        type=Path,
        metavar='FILE',
        help='small JSON file that finished cells are also written to; those in it are done',
    )
    parser.add_argument(
        '--force', action='store_true', help='delete and run again the cells that changed'
    )
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument('--dry-run', action='store_true', help='list the cells and their state')
    mode.add_argument(
        '--collect', action='store_true', help='only write the report of what is finished'
    )
    args = parser.parse_args(argv)
    if args.jobs < 1 or (args.threads is not None and args.threads < 1):
        parser.error(f'--jobs and --threads must be at least 1, got {args.jobs}, {args.threads}')
    if args.force and (args.collect or args.dry_run):
        parser.error('--force deletes cells to run them again: not with --collect or --dry-run')
    if args.force and args.records:
        parser.error('--force would run what --records holds again: move that file away first')
    if args.only and args.collect:
        parser.error('--collect reports all cells that are finished: not with --only')
    return args


if __name__ == '__main__':
    parse_args()  # help and wrong arguments end here, before imports that take seconds

vit_plugins.register()


from vit_plugins.config_edits.config_check import check_config
from vit_plugins.studies.cell_folder import (
    ENDED,
    cell_state,
    describe_change,
    read_json,
    remove_cell,
)
from vit_plugins.studies.cell_runner import CellRunner
from vit_plugins.studies.grid import Cell, Study, make_cells, read_study
from vit_plugins.studies.model_cost import setting_costs
from vit_plugins.studies.record_file import keep_records, read_record_file, restore_records
from vit_plugins.studies.report import write_report


def select(cells: list[Cell], pattern: str | None) -> list[Cell]:
    """Pick the cells a pattern names."""
    if pattern is None:
        return cells
    chosen = [c for c in cells if fnmatch.fnmatch(c.name, pattern) or pattern in c.name]
    if not chosen:
        raise SystemExit(f'--only {pattern}: no such cell; the first is {cells[0].name}')
    return chosen


def refuse_changed(cells: list[Cell], folder: Path, data_root: str | None, force: bool) -> None:
    """Stop at cells of another config, or delete them."""
    changed = {
        cell.name: describe_change(cell, folder / cell.name, data_root)
        for cell in cells
        if cell_state(cell, folder / cell.name, data_root) == 'changed'
    }
    for name, why in changed.items():
        print(f'{name}: {why}' + (': deleted' if force else ''))
        if force:
            remove_cell(folder / name)
    if changed and not force:
        raise SystemExit(
            f'{len(changed)} cells in {folder} are of another config. --force deletes them and '
            'runs them again; --work-dir takes another folder'
        )


def require_settings(cells: list[Cell]) -> None:
    """Stop before the first cell if one has settings that nothing would read."""
    for cell in cells:
        if cell.seed == cells[0].seed:  # the others differ in the seed alone
            for stage in cell.stages:
                try:
                    check_config(stage)
                except ValueError as error:
                    raise SystemExit(f'cell {cell.name}: {error}') from None


def collect(
    study: Study,
    cells: list[Cell],
    folder: Path,
    data_root: str | None,
    command: str,
    kept: dict[str, dict],
) -> None:
    """Write the report of the finished cells, and of those kept from an earlier state."""
    states = {cell.name: cell_state(cell, folder / cell.name, data_root) for cell in cells}
    records = {
        name: read_json(folder / name / ENDED) for name, state in states.items() if state == 'done'
    }
    # what is done here counts, not what an earlier state of the cell found
    kept = {name: record for name, record in kept.items() if name not in records}
    records.update(kept)
    missing = {name: state for name, state in states.items() if name not in records}
    if not records:
        raise SystemExit(f'no cell in {folder} is done: nothing to report')
    for metric, (name, record) in itertools.product(study.metrics, records.items()):
        if metric not in record['metrics']:
            there = ', '.join(record['metrics'])
            raise SystemExit(f'{folder / name} has no metric {metric}; it has {there}')
    costs = setting_costs((cell for cell in cells if cell.name in records), study.measure)
    report = write_report(study, records, folder, missing, command, costs, list(kept))
    print(f'\n{report.read_text(encoding="utf-8")}\n{report}')
    changed = [name for name, state in states.items() if state == 'changed']
    if changed:
        raise SystemExit(f'{len(changed)} cells are of another config and left out (see above)')


def restore(
    path: Path | None, cells: list[Cell], folder: Path, data_root: str | None, collecting: bool
) -> dict[str, dict]:
    """Restore the records of a file; return those of another config, for the report only."""
    if path is None:
        return {}
    records = read_record_file(path)
    others = restore_records(records, cells, folder, data_root)
    if others and not collecting:
        raise SystemExit(
            f'{path} holds {len(others)} cells of another config, as {others[0]}: run the study '
            f'from a checkout of commit {records[others[0]]["commit"]}, or move the file away'
        )
    return {name: {**records[name], 'data_root': data_root} for name in others}


def keeper(args: argparse.Namespace, cells: list[Cell], folder: Path) -> Callable[[str], None]:
    """Return what is done when a cell has ended: print the line, write the records."""

    def keep(line: str) -> None:
        print(line, flush=True)
        if args.records is not None:
            keep_records(args.records, cells, folder)

    return keep


def main(argv: Sequence[str] | None = None) -> None:
    """Run, list or collect a study."""
    args = parse_args(argv)
    try:
        study = read_study(args.study, args.data)
        cells = make_cells(study)
    except (ValueError, OSError) as error:
        raise SystemExit(str(error)) from None
    other = f'_{Path(args.data).stem}' if args.data else ''
    folder = args.work_dir or Path('work_dirs/studies') / f'{study.name}{other}'
    data_root = args.data_root or study.data_root
    data_root = data_root and str(Path(data_root).expanduser().resolve())
    chosen = select(cells, args.only)
    kept = restore(args.records, cells, folder, data_root, args.collect)
    states = {cell.name: cell_state(cell, folder / cell.name, data_root) for cell in chosen}
    counts = ', '.join(f'{n} {state}' for state, n in Counter(states.values()).items())
    print(f'{study.name}: {len(chosen)} cells ({counts}) in {folder}')
    if args.dry_run:
        print('\n'.join(f'{state:10} {name}' for name, state in states.items()))
        return
    command = f'python tools/study.py {shlex.join(sys.argv[1:] if argv is None else argv)}'
    unfinished = []
    if not args.collect:
        refuse_changed(chosen, folder, data_root, args.force)
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the cells end, too
        todo = [c for c in chosen if cell_state(c, folder / c.name, data_root) != 'done']
        require_settings(todo)
        runner = CellRunner(
            study, folder, data_root, args.threads, tell=keeper(args, cells, folder)
        )
        unfinished = runner.run_all(todo, args.jobs)
    collect(study, cells, folder, data_root, command, kept)
    if unfinished:
        raise SystemExit(f'{len(unfinished)} cells not finished: {", ".join(unfinished)}')


if __name__ == '__main__':
    main()
