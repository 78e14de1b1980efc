"""Properties of samplers, schedules, optimizers and metrics, for any labels and numbers."""

import json
import math
from collections import Counter

import numpy as np
import torch
from hypothesis import strategies as st
from mmengine.optim import build_optim_wrapper
from mmpretrain.registry import DATA_SAMPLERS, METRICS, OPTIM_WRAPPERS, PARAM_SCHEDULERS
from properties import SEEDS, holds, over, randn, thread_counts, threads
from small_backbones import small
from torch import nn

LABELS = st.lists(st.integers(0, 4), min_size=1, max_size=20)


class Labelled(list):
    """A dataset of labels in which neighbours show the same object."""

    def __init__(self, labels):
        super().__init__(labels)
        self.pairs = np.stack([np.arange(len(self)), np.roll(np.arange(len(self)), 1)], 1)

    def get_gt_labels(self):
        return np.array(self)


def balanced(labels, number, seed):
    return dict(power=number / 4, seed=seed), len(labels)


def per_class(labels, number, seed):
    classes, size = len(set(labels)), max(number, 1)
    size = min(size, classes) * size
    batches = max(len(labels) // size, 1)
    return dict(batch_size=size, samples_per_class=max(number, 1), seed=seed), batches * size


def tuples(labels, number, seed):
    number = max(number, 1)
    return dict(num_pairs=number, num_negatives=number, seed=seed), min(number, len(labels)) * (
        2 + number
    )


SAMPLERS = {
    'ClassBalancedSampler': balanced,
    'MPerClassSampler': per_class,
    'TupleSampler': tuples,
}


@over(SAMPLERS)
def test_sampler(name, examples):
    def check(labels, number, epoch, seed):
        kwargs, length = SAMPLERS[name](labels, number, seed)
        runs = []
        for _ in range(2):
            sampler = DATA_SAMPLERS.build(
                dict(type=name, **kwargs), default_args=dict(dataset=Labelled(labels))
            )
            sampler.set_epoch(epoch)
            if name == 'TupleSampler':
                sampler.set_negatives(
                    torch.zeros(len(sampler.epoch_sample.pairs), number or 1).long()
                )
            runs.append(list(sampler))
        assert runs[0] == runs[1]
        assert len(runs[0]) == len(sampler) == length
        assert all(0 <= index < len(labels) for index in runs[0])
        if name == 'MPerClassSampler':
            first = Counter(labels[index] for index in runs[0][: kwargs['batch_size']])
            assert set(first.values()) == {kwargs['samples_per_class']}

    holds(
        check,
        examples,
        labels=LABELS,
        number=st.integers(0, 4),
        epoch=st.integers(0, 3),
        seed=st.integers(0, 2**31),
    )


@over({'WarmupCosineLR': None})
def test_schedule(name, examples):
    def check(base, total, share, warmup_lr, eta_min, lag, steps):
        optimizer = torch.optim.SGD(nn.Linear(1, 1).parameters(), lr=base)
        schedule = PARAM_SCHEDULERS.build(
            dict(
                type=name,
                optimizer=optimizer,
                total=total,
                warmup=share * total,
                warmup_lr=warmup_lr,
                eta_min=eta_min,
                lag=lag,
            )
        )
        low, high = sorted((base, warmup_lr, eta_min))[::2]
        for _ in range(steps):
            optimizer.step()
            schedule.step()
            rate = optimizer.param_groups[0]['lr']
            assert math.isfinite(rate)
            assert low * (1 - 1e-9) <= rate <= high * (1 + 1e-9)
        if steps >= total + lag:
            assert math.isclose(rate, eta_min, rel_tol=1e-6, abs_tol=1e-12)

    rates = st.floats(0, 1)
    holds(
        check,
        examples,
        base=st.floats(1e-8, 1),
        total=st.floats(0.5, 20),
        share=st.floats(0, 0.99),
        warmup_lr=rates,
        eta_min=rates,
        lag=st.integers(0, 2),
        steps=st.integers(1, 30),
    )


@over({'AutocastOptimWrapper': None})
def test_optimizer_step(name, examples):
    def check(batch, width, accumulated, clip, seed):
        torch.manual_seed(0)
        model = nn.Linear(width, 2)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        clip = dict(max_norm=1.0) if clip else None
        wrapper = OPTIM_WRAPPERS.build(
            dict(type=name, optimizer=optimizer, accumulative_counts=accumulated, clip_grad=clip)
        )
        for _ in range(2):
            with wrapper.optim_context(model):
                out = model(randn(seed, batch, width))
            assert out.dtype == torch.bfloat16
            wrapper.update_params(out.float().square().sum())
        assert all(p.isfinite().all() and p.dtype == torch.float32 for p in model.parameters())

    numbers = st.integers(1, 3)
    holds(
        check,
        examples,
        batch=st.integers(0, 3),
        width=numbers,
        accumulated=numbers,
        clip=st.booleans(),
        seed=SEEDS,
    )


@over({'BackboneDecayOptimWrapperConstructor': None})
def test_layer_decay(name, examples):
    def check(backbone, rate, base, optimizer):
        model = nn.ModuleDict({'backbone': small(backbone), 'head': nn.Linear(2, 2)})
        wrapper = build_optim_wrapper(
            model,
            dict(
                constructor=name,
                optimizer=dict(type=optimizer, lr=base),
                paramwise_cfg=dict(layer_decay_rate=rate),
            ),
        )
        groups = wrapper.optimizer.param_groups
        trained = [id(p) for p in model.parameters() if p.requires_grad]
        assert sorted(id(p) for group in groups for p in group['params']) == sorted(trained)
        assert all(0 <= group['lr'] <= base for group in groups)

    holds(
        check,
        examples,
        backbone=st.sampled_from(['ConViT', 'CvT', 'DeiT3ViT']),
        rate=st.floats(0.01, 1),
        base=st.floats(0, 1),
        optimizer=st.sampled_from(['SGD', 'AdamW']),
    )


def classified(vectors, labels, metric):
    metric.dataset_meta = dict(classes=[f'class {i}' for i in range(vectors.shape[1])])
    return [
        dict(gt_label=torch.tensor([label % vectors.shape[1]]), pred_score=scores)
        for scores, label in zip(vectors.softmax(1), labels, strict=True)
    ]


def sought(vectors, labels, metric):
    return [
        dict(embedding=vector, gt_label=torch.tensor([label]), sample_idx=i)
        for i, (vector, label) in enumerate(zip(vectors, labels, strict=True))
    ]


def revisited(vectors, labels, metric):
    """Return results with the first image as query and all images as gallery."""
    gallery = [
        dict(embedding=vector, role='gallery', image_idx=i, sample_idx=i + 1)
        for i, vector in enumerate(vectors)
    ]
    groups = {'easy': [], 'hard': [], 'junk': []}
    for i, label in enumerate(labels):
        groups[('easy', 'hard', 'junk', 'junk', 'junk')[label]].append(i)
    metric.dataset_meta = dict(revisited_gnd=[groups])
    return [dict(embedding=vectors[0], role='query', image_idx=0, sample_idx=0), *gallery]


METRIC = {'ClassF1': classified, 'RetrievalMetric': sought, 'RevisitedRetrievalMetric': revisited}


@over(METRIC)
def test_metric(name, examples):
    def check(labels, width, scale, seed):
        # one that can be found, of each kind
        labels = [0, 0, 1, *labels]
        vectors = randn(seed, len(labels), width) * scale + 1
        results = []
        for number in thread_counts(examples):
            metric = METRICS.build(dict(type=name))
            with threads(number):
                samples = METRIC[name](vectors, labels, metric)
                metric.process(None, samples[: len(samples) // 2])
                metric.process(None, samples[len(samples) // 2 :])
                results.append(metric.evaluate(len(samples)))
        assert all(found == results[0] for found in results)
        for key, value in results[0].items():
            assert math.isfinite(value), key
            assert 0 <= value <= (len(labels) if 'queries' in key else 100 + 1e-6), key

    scales = st.sampled_from([0.0, 1e-3, 1.0])  # 0: nothing but ties
    holds(check, examples, labels=LABELS, width=st.integers(1, 6), scale=scales, seed=SEEDS)


@over({'ReaLAccuracy': None})
def test_reassessed_labels(name, examples, tmp_path):
    path = tmp_path / 'real.json'
    path.write_text(json.dumps([[i % 3, 7] if i % 4 else [] for i in range(50_000)]))
    metric = METRICS.build(dict(type=name, real_json=str(path)))

    def check(numbers, named):
        metric.results.clear()
        samples = [
            dict(img_path=f'ILSVRC2012_val_{number:08d}.JPEG', pred_label=torch.tensor([named]))
            for number in [2, *numbers]
        ]
        metric.process(None, samples)
        assert 0 <= metric.evaluate(len(samples))['real/top1'] <= 100

    numbers = st.lists(st.integers(1, 50_000), max_size=9)
    holds(check, examples, numbers=numbers, named=st.integers(0, 999))
