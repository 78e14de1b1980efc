"""Write a table of claims with the results of the studies for each, and the verdict."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from ..evaluation.functional.statistics import PairedDifference, paired_difference
from .record_file import read_record_file
from .report import markdown_table

SEED = '{seed}'
FEWEST = 3  # the number of pairs that a verdict needs
HOLDS, FAILS, OPEN = 'holds', 'does not', 'cannot tell yet'


@dataclass(frozen=True)
class Claim:
    """One claim, and the cells that test it.

    Attributes:
        claim: The claim in a sentence.
        records: The file of the records; the command that makes them is of the same study.
        command: The command that makes the records.
        level: The name of the cell that should be better; with ``{seed}`` the cells of all seeds.
        baseline: The name of the cell with which it is compared.
        metric: A number of each cell, paired by seed; or a list of each cell, or a text of 0
            (wrong) and 1 (right), paired item by item (photos, classes).
        worth: The smallest difference that would matter, in the unit of the metric: if even the
            upper end of the interval is below it, the claim does not hold.
        needs: A part of the loss to a value. There is a verdict only if that part is below the
            value at the end of the training of each cell of ``level``.
        section: The heading of the page with more details.
    """

    claim: str
    records: Path
    command: str
    level: str
    baseline: str
    metric: str
    worth: float = 0.0
    needs: Mapping[str, float] | None = None
    section: str = ''


def read_claims(path: Path) -> list[Claim]:
    """Load the claims of a YAML file; paths in it are relative to its folder.

    Args:
        path: A list of mappings with the attributes of :class:`Claim`.

    Raises:
        ValueError: If an entry lacks an attribute or has an unknown one.
    """
    claims = []
    for entry in yaml.safe_load(path.read_text(encoding='utf-8')):
        try:
            claim = Claim(**{**entry, 'records': path.parent / entry['records']})
        except (TypeError, KeyError) as error:
            raise ValueError(f'{path}: {entry}: {error}') from None
        claims.append(claim)
    return claims


def compare(claim: Claim, records: Mapping[str, Mapping[str, Any]]) -> PairedDifference | None:
    """Compute the difference of a claim; return None if there is no pair of cells.

    Args:
        claim: The claim.
        records: Name of each finished cell to its record.

    Raises:
        ValueError: If the metrics of the two sides have different types.
    """
    level, baseline = (
        {seed: record['metrics'][claim.metric] for seed, record in cells.items()}
        for cells in (_cells(claim.level, records), _cells(claim.baseline, records))
    )
    if SEED in claim.level and SEED not in claim.baseline and baseline:
        baseline = dict.fromkeys(level, *baseline.values())  # a single cell without randomness
    if SEED not in claim.level and level and baseline:
        level, baseline = _places(level[0]), _places(baseline[0])
        if level.keys() != baseline.keys():
            raise ValueError(
                f'{claim.level} and {claim.baseline}: {claim.metric} differs in length'
            )
    if not level.keys() & baseline.keys():
        return None
    return paired_difference(level, baseline)


def verdict(claim: Claim, found: PairedDifference | None, ready: bool = True) -> str:
    """Return the verdict on a claim that follows from a difference.

    The claim holds if the interval is above 0, and does not hold if the interval is below
    ``worth``. With fewer than three pairs, or if the cells are not ready, there is no verdict.

    Args:
        claim: The claim.
        found: The difference.
        ready: Whether the cells meet what the claim needs.
    """
    if found is None or found.n < FEWEST or not ready or math.isnan(found.low):
        return OPEN
    if found.low > 0:
        return HOLDS if found.high >= claim.worth else f'{HOLDS}, by less than {claim.worth:g}'
    return FAILS if found.high < claim.worth or found.high < 0 else OPEN


def claims_table(path: Path) -> list[str]:
    """Return the table: claim, pairs, difference with its 95 % interval, verdict, command.

    Args:
        path: The file of the claims.
    """
    body = []
    for claim in read_claims(path):
        records = read_record_file(claim.records)
        found = compare(claim, records)
        told = '' if found is None else f'{found.mean:+.1f}'
        if found and not math.isnan(found.low):
            told += f' ({found.low:+.1f} to {found.high:+.1f})'
        body.append(
            [
                _linked(claim),
                '0' if found is None else str(found.n),
                told,
                f'**{verdict(claim, found, _ready(claim, records))}**',
                f'`{claim.command}`',
            ]
        )
    return markdown_table(['claim', 'n', 'difference', 'verdict', 'command'], body)


def _cells(name: str, records: Mapping[str, Mapping[str, Any]]) -> dict[int, Mapping[str, Any]]:
    """Return the records of a name: by seed, or the only one under 0."""
    if SEED not in name:
        return {0: records[name]} if name in records else {}
    return {
        record['seed']: record
        for cell, record in records.items()
        if cell == name.replace(SEED, str(record['seed']))
    }


def _places(values: Sequence[float] | str) -> dict[int, float]:
    """Return the values by their index; a text of 0 and 1 gives percents."""
    factor = 100.0 if isinstance(values, str) else 1.0
    return {place: factor * float(value) for place, value in enumerate(values)}


def _ready(claim: Claim, records: Mapping[str, Mapping[str, Any]]) -> bool:
    cells = _cells(claim.level, records).values()
    needs = (claim.needs or {}).items()
    losses = [cell['stages'][-1]['last_losses'] for cell in cells if needs]
    return all(found[name] < limit for found in losses for name, limit in needs)


def _linked(claim: Claim) -> str:
    if not claim.section:
        return claim.claim
    kept = ''.join(c for c in claim.section.lower() if c.isalnum() or c in ' -')
    return f'{claim.claim} ([more](#{kept.replace(" ", "-")}))'
