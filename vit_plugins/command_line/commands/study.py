"""Run ``tools/study.py`` after its arguments are read."""

from __future__ import annotations

import argparse
import fnmatch
import itertools
import shlex
import signal
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from ...config_edits.config_check import check_config
from ...studies.cell_folder import (
    ENDED,
    cell_state,
    describe_change,
    read_json,
    remove_cell,
)
from ...studies.cell_runner import CellRunner
from ...studies.grid import Cell, Study, make_cells, read_study
from ...studies.model_cost import setting_costs
from ...studies.record_file import keep_records, read_record_file, restore_records
from ...studies.report import write_report


def select(cells: list[Cell], pattern: str | None) -> list[Cell]:
    """Return the cells that match a pattern.

    Args:
        cells: Cells of the study.
        pattern: A glob, or a part of the name; None for all.
    """
    if pattern is None:
        return cells
    chosen = [c for c in cells if fnmatch.fnmatch(c.name, pattern) or pattern in c.name]
    if not chosen:
        raise SystemExit(f'--only {pattern}: no such cell; the first is {cells[0].name}')
    return chosen


def refuse_changed(cells: list[Cell], folder: Path, data_root: str | None, force: bool) -> None:
    """Stop if cells have another config, or delete them.

    Args:
        cells: Cells of the study.
        folder: The folder of the cells.
        data_root: The folder of the images.
        force: Whether to delete such cells.
    """
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
    """Check, before the first cell, that no cell has settings that nothing reads."""
    for cell in cells:
        if cell.seed == cells[0].seed:  # the others differ only in the seed
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
    """Write the report of the finished cells, and of those kept from an earlier state.

    Args:
        study: The study.
        cells: Cells of the study.
        folder: The folder of the cells.
        data_root: The folder of the images.
        command: The command line, for the report.
        kept: Records of cells of an earlier state.
    """
    states = {cell.name: cell_state(cell, folder / cell.name, data_root) for cell in cells}
    records = {
        name: read_json(folder / name / ENDED) for name, state in states.items() if state == 'done'
    }
    # the results of this run count, not those of an earlier state of the cell
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
    """Restore the records of a file; return records of another config, for the report only.

    Args:
        path: The file of records, or None.
        cells: Cells of the study.
        folder: The folder of the cells.
        data_root: The folder of the images.
        collecting: Whether only the report is written.
    """
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
    """Return the function to call when a cell has ended: it prints a line and writes the records.

    Args:
        args: The arguments of the tool.
        cells: Cells of the study.
        folder: The folder of the cells.
    """

    def keep(line: str) -> None:
        print(line, flush=True)
        if args.records is not None:
            keep_records(args.records, cells, folder)

    return keep


def run(args: argparse.Namespace, argv: Sequence[str] | None) -> None:
    """Run, list or collect a study.

    Args:
        args: The arguments of the tool.
        argv: The words of the command line; None for those of the process.
    """
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
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the cells end as well
        todo = [c for c in chosen if cell_state(c, folder / c.name, data_root) != 'done']
        require_settings(todo)
        if args.records is not None:
            keep_records(args.records, cells, folder)  # those that ended without it
        runner = CellRunner(
            study, folder, data_root, args.threads, tell=keeper(args, cells, folder)
        )
        unfinished = runner.run_all(todo, args.jobs)
    collect(study, cells, folder, data_root, command, kept)
    if unfinished:
        raise SystemExit(f'{len(unfinished)} cells not finished: {", ".join(unfinished)}')
