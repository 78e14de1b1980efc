"""Prepare what a page shows of one training, in its order and its words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..evaluation.functional.confusion import most_confused
from ..evaluation.functional.label_errors import likely_label_errors
from ..fileio.printable_text import printable
from .charts import Chart
from .facts import facts, headline, model_words, repetition
from .figures import Figure, answer_figure
from .findings import Findings, outcome_of
from .inside_view import InsideView, view_inside
from .outcome import warnings
from .run_charts import run_charts
from .scores import ClassRow, Score, class_rows, final_scores, share
from .shown_images import ShownImage
from .thumbnails import thumbnail

MOST_IN_MATRIX = 24  # classes; with more, the pairs confused most are listed
CONFUSED = 30
SHOWN = 12  # confident mistakes, likely wrong labels, queries
ROW_SIDE = 96
UNSURE = 0.8  # accuracy below which most suspects are mistakes of the model


@dataclass(frozen=True)
class ClassifierView:
    """The part of a page about a classifier.

    Attributes:
        scores: Final numbers and baselines.
        rows: A row for each class.
        matrix: Counts (K, K); None for too many classes.
        confused: Pairs of class numbers that are confused most, with their counts.
        mistakes: The most confident mistakes.
        suspects: Photos whose label is likely wrong.
        suspect_count: The total number of such photos.
        is_unsure: Whether the model is too weak for the suspects to mean much.
    """

    scores: list[Score]
    rows: list[ClassRow]
    matrix: list[list[int]] | None
    confused: list[tuple[int, int, int]]
    mistakes: list[Figure]
    suspects: list[Figure]
    suspect_count: int
    is_unsure: bool


@dataclass(frozen=True)
class RetrieverView:
    """The part of a page about a retriever.

    Attributes:
        scores: How often the first neighbour is right, with its interval.
        metrics: The last validation: name, value, and the values of raw pixels and of the
            untrained model, None if nothing was measured.
        rows: Queries with the images that they find.
    """

    scores: list[Score]
    metrics: list[tuple[str, float, float | None, float | None]]
    rows: list[tuple[Figure, list[Figure]]]


@dataclass(frozen=True)
class RunView:
    """The contents of a page about a training.

    Attributes:
        name: The name of its work dir, made unique on the page.
        model: Backbone and size, in short.
        headline: The result in one sentence.
        facts: Facts about the model and the data, as names and values.
        charts: Its curves.
        classes: The names of the classes.
        classifier: The part about a classifier, if it is one.
        retriever: The part about a retriever, if it is one.
        inside: The part about the inside of its model; None if nothing could be read.
        notes: Warnings about doubtful numbers, and what could not be shown.
        repeat: What is needed to repeat the training, as names and values.
        config: The text of the config.
    """

    name: str
    model: str
    headline: str
    facts: list[tuple[str, str]]
    charts: list[Chart]
    classes: tuple[str, ...]
    classifier: ClassifierView | None
    retriever: RetrieverView | None
    inside: InsideView | None
    notes: list[str]
    repeat: list[tuple[str, str]]
    config: str

    @property
    def sections(self) -> list[tuple[str, str]]:
        """The anchor of each section, and its name."""
        found = [('facts', 'What was trained'), ('numbers', 'Final numbers')]
        if not (self.classifier or self.retriever):
            found.pop()
        if self.retriever:
            found.append(('found', 'What queries find'))
        if self.charts:
            found.append(('curves', 'Curves'))
        if self.classifier:
            found += [
                ('classes', 'Each class'),
                ('confusion', 'Confusion'),
                ('mistakes', 'Surest mistakes'),
                ('labels', 'Likely wrong labels'),
            ]
        if self.inside:
            found.append(('inside', 'Inside the model'))
        return [*found, ('again', 'To do it again')]


def view_run(found: Findings, name: str | None = None) -> RunView:
    """Return the contents of a page about a training.

    Args:
        found: The findings about it.
        name: Its name on the page. Default: the name of its work dir.
    """
    classes = tuple(map(printable, found.classes))
    notes = [*found.problems]
    if found.run.record is not None and not found.run.record.finished:
        notes.insert(0, 'This training has not come to its end.')
    if found.predictions is not None:
        notes += warnings(outcome_of(found))
    return RunView(
        name=name or printable(found.run.name),
        model=model_words(found),
        headline=headline(found),
        facts=facts(found),
        charts=run_charts(found.run.curves, found.trained_for),
        classes=classes,
        classifier=None if found.predictions is None else _classifier(found, classes),
        retriever=None if found.neighbours is None else _retriever(found, classes),
        inside=view_inside(found, classes),
        notes=notes,
        repeat=repetition(found),
        config=printable_lines(found.run.cfg.pretty_text),
    )


def printable_lines(text: str) -> str:
    """Return a text of several lines with its invisible characters escaped.

    Args:
        text: The text.
    """
    return '\n'.join(map(printable, text.splitlines()))


def _classifier(found: Findings, classes: Sequence[str]) -> ClassifierView:
    said = found.predictions
    suspects = likely_label_errors(said.probabilities, said.labels)
    confused = most_confused(said.confusion, range(len(classes)), CONFUSED)
    return ClassifierView(
        scores=final_scores(said, found.baselines),
        rows=class_rows(said.confusion, classes, found.train_counts),
        matrix=said.confusion.tolist() if len(classes) <= MOST_IN_MATRIX else None,
        confused=[(int(i), int(j), n) for i, j, n in confused],
        mistakes=[answer_figure(found, i, classes) for i in said.sure_mistakes[:SHOWN]],
        suspects=[answer_figure(found, i, classes) for i in suspects[:SHOWN]],
        suspect_count=len(suspects),
        is_unsure=bool(said.right.mean() < UNSURE),
    )


def _retriever(found: Findings, classes: Sequence[str]) -> RetrieverView:
    near = found.neighbours
    first = near.right[:, 0]
    wrong = near.sure_mistakes[: SHOWN // 2]
    spread = np.linspace(0, len(near.queries) - 1, min(SHOWN, len(near.queries))).astype(int)
    rows = [*dict.fromkeys([*wrong.tolist(), *spread.tolist()])][:SHOWN]
    before = found.run.curves.before
    metrics = []
    for name, points in found.run.curves.metrics.items():
        bare = name.rpartition('/')[2]
        pair = (before.get(f'raw_pixels/{bare}'), before.get(f'untrained/{bare}'))
        metrics.append((name, points[-1][1], *pair))
    return RetrieverView(
        scores=[share('first neighbour of the same class', int(first.sum()), len(first))],
        metrics=metrics,
        rows=[_found_row(found, row, classes) for row in rows],
    )


def _found_row(found: Findings, row: int, classes: Sequence[str]) -> tuple[Figure, list[Figure]]:
    near = found.neighbours

    def figure(index: int, word: str, state: str) -> Figure:
        image: ShownImage = found.images[index]
        label = int(near.labels[index])
        lines = (word, classes[label] if label < len(classes) else str(label))
        return Figure(thumbnail(image, ROW_SIDE), image.name, lines, state)

    query = figure(int(near.queries[row]), 'query', '')
    others = [
        figure(int(index), f'{cosine:.3f}', 'right' if right else 'wrong')
        for index, cosine, right in zip(
            near.found[row], near.cosines[row], near.right[row], strict=True
        )
    ]
    return query, others
