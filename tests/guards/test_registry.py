"""Guards over all registered components; they also find a new one without minimal arguments."""

import importlib
import inspect
import math
import pkgutil
import re

import mmpretrain.registry
import numpy as np
import pytest
import torch
from mmengine.registry import Registry
from torch import nn

import vit_plugins

EVERY = [item for item in vars(mmpretrain.registry).values() if isinstance(item, Registry)]
REGISTRIES = [registry for registry in EVERY if registry.scope == 'mmpretrain']
OURS = {
    (registry.name, name): component
    for registry in REGISTRIES
    for name, component in registry.module_dict.items()
    if component.__module__.split('.')[0] == 'vit_plugins'
}
NAMES = sorted(OURS)
MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(vit_plugins.__path__, 'vit_plugins.')
    if not module.name.endswith('__main__')
)


def registry_of(kind):
    return next(registry for registry in REGISTRIES if registry.name == kind)


def optimizer():
    return torch.optim.SGD(nn.Linear(1, 1).parameters(), lr=0.1)


class Labelled(list):
    """The part of a dataset that a sampler needs."""

    def get_gt_labels(self):
        return np.array([0, 0, 1])


class Paired(Labelled):
    """Labelled images and the pairs that show the same object."""

    pairs = np.array([[0, 1]])


@pytest.fixture
def minimal(tmp_path):
    """Return the shortest arguments that build each component; {} if none are needed."""
    for label in ('cat', 'dog'):
        (tmp_path / label).mkdir()
    head = {'type': 'LinearClsHead', 'num_classes': 2, 'in_channels': 8}
    real = tmp_path / 'real.json'
    real.write_text(f'[{"[]," * 49_999}[]]')
    return {
        'AutocastOptimWrapper': {'optimizer': optimizer()},
        'BackboneDecayOptimWrapperConstructor': {
            'optim_wrapper_cfg': {'optimizer': {'type': 'SGD', 'lr': 0.1}}
        },
        'BatchCompose': {'transforms': []},
        'BatchRandAugment': {
            'policies': 'timm_increasing',
            'num_policies': 2,
            'magnitude_level': 9,
        },
        'BatchRandomErasing': {},
        'BatchRandomFlip': {},
        'BatchRandomResizedCrop': {'scale': 32},
        'BatchSimpleRandomCrop': {'crop_size': 32},
        'BatchThreeAugment': {},
        'BatchTrivialAugment': {},
        'BestConfusionHook': {},
        'BinaryCrossEntropyLoss': {},
        'CUBRetrieval': {'data_root': str(tmp_path), 'lazy_init': True},
        'BoundedHistoryHook': {},
        'CachedImages': {'dataset': {'type': 'Digits'}, 'lazy_init': True},
        'ClassBalancedSampler': {'dataset': Labelled('abc')},
        'ClassF1': {},
        'ClassSubset': {'dataset': {'type': 'Digits'}, 'fraction': 0.5},
        'ConViT': {'arch': 'tiny', 'img_size': 32},
        'ConvTokenizer': {},
        'ContrastiveLoss': {},
        'ContrastiveRetrievalHead': {'loss': {'type': 'ContrastiveLoss'}},
        'CrashSafeCheckpointHook': {},
        'CrossBatchMemory': {'size': 4},
        'CropToBox': {},
        'LoadPhoto': {},
        'CvT': {'arch': '13'},
        'DRLocHead': {'head': head, 'in_channels': 8},
        'DRLocLoss': {'in_channels': 8},
        'DRLocSourceHook': {},
        'DeiT3ViT': {'arch': 'tiny', 'img_size': 32},
        'Digits': {'split': 'train', 'lazy_init': True},
        'DomainNet': {'data_root': '', 'domain': 'clipart', 'lazy_init': True},
        'EmbeddingRetriever': {'backbone': {'type': 'ConViT', 'arch': 'tiny'}},
        'FitPCAHook': {},
        'FractionalSwitchRecipeHook': {
            'schedule': [{'action_fraction': 0.9, 'batch_augments': None}]
        },
        'GPSA': {'embed_dims': 8, 'num_heads': 4},
        'GateHook': {},
        'GroupedStepHook': {},
        'HardNegativeMiningHook': {'pipeline': []},
        'HybridPatchEmbed': {'stem': {'type': 'ResidualConvStem'}},
        'HybridViT': {'arch': 'small', 'stem': (1,), 'img_size': 32},
        'ImageFolder': {'data_root': str(tmp_path), 'lazy_init': True},
        'ImageNet100': {'data_root': str(tmp_path), 'lazy_init': True},
        'ImageNetV2': {'data_root': str(tmp_path), 'lazy_init': True},
        'KoLeoLoss': {},
        'InShopRetrieval': {'data_root': str(tmp_path), 'lazy_init': True},
        'LearningCurveHook': {},
        'LocalityHook': {},
        'LossWeightHook': {},
        'MPerClassSampler': {'dataset': Labelled('abc'), 'batch_size': 4},
        'OffsetErrorHook': {},
        'PCAProjection': {'in_dims': 8, 'out_dims': 4},
        'PlacedDigits': {'lazy_init': True},
        'PosEmbedViT': {'arch': 'deit-tiny', 'img_size': 32},
        'ProgressHook': {},
        'ReportPageHook': {},
        'ReaLAccuracy': {'real_json': str(real)},
        'ResNetStem': {'blocks': (1,)},
        'ResidualConvStem': {},
        'RetrievalMetric': {},
        'RevisitedRetrievalMetric': {},
        'RetrievalBaselineHook': {},
        'RetrievalFolder': {'data_root': str(tmp_path), 'lazy_init': True},
        'RevisitedOxfordParis': {'data_root': str(tmp_path), 'lazy_init': True},
        'RotatedDigits': {'lazy_init': True},
        'ScoreReportHook': {},
        'SeededDrawsHook': {},
        'SVHN': {'data_root': str(tmp_path), 'lazy_init': True},
        'SequencePooling': {'in_channels': 8},
        'SfM120k': {'data_root': str(tmp_path), 'lazy_init': True},
        'SimpleRandomCrop': {'crop_size': 32},
        'MetricNameHook': {},
        'RunRecordHook': {},
        'ResumedSettingsHook': {},
        'StrictLoadHook': {},
        'StanfordOnlineProducts': {'data_root': str(tmp_path), 'lazy_init': True},
        'T2TViTPerformer': {'img_size': 32, 'num_layers': 1},
        'StackedDataPreprocessor': {},
        'ThreeAugment': {},
        'TimeBudgetHook': {'seconds': 60},
        'TokenPooling': {},
        'TrainingForecastHook': {},
        'TrainingGuardHook': {},
        'TrainingReportHook': {},
        'TupleSampler': {'dataset': Paired('abc')},
        'VTAB1k': {'data_root': '', 'task': 'dtd', 'lazy_init': True},
        'VisionTransformerBCEHead': {'num_classes': 2, 'in_channels': 8},
        'TupleContrastiveLoss': {},
        'WarmupCosineLR': {'optimizer': optimizer(), 'total': 2, 'warmup': 1},
    }


# Loops take a Runner; tests/test_engine builds them with one.
RUNNERS = {'loop'}


def test_something_is_registered():
    assert {'ConViT', 'GPSA', 'DRLocHead', 'DRLocLoss'} <= {name for _, name in NAMES}


def test_only_registries_of_mmpretrain_are_written_to():
    roots = [registry for registry in EVERY if registry not in REGISTRIES]
    assert len(roots) > 10
    written = [component for root in roots for component in root.module_dict.values()]
    assert not [c for c in written if c.__module__.split('.')[0] == 'vit_plugins']


def test_no_name_is_one_of_the_host_or_its_parents():
    for kind, name in NAMES:
        parent = registry_of(kind).parent
        while parent is not None:
            assert name not in parent.module_dict
            parent = parent.parent


@pytest.mark.parametrize(('kind', 'name'), [pair for pair in NAMES if pair[0] not in RUNNERS])
def test_builds_from_a_minimal_config(kind, name, minimal):
    assert name in minimal, f'add the shortest arguments of {name} to `minimal` above'
    built = registry_of(kind).build({'type': name, **minimal[name]})
    assert type(built).__name__ == name
    assert registry_of(kind).get(f'mmpretrain.{name}') is OURS[kind, name]


@pytest.mark.parametrize(('kind', 'name'), [pair for pair in NAMES if pair[0] == 'model'])
def test_a_model_saves_tensors_only(kind, name, minimal):
    """On several ranks the host's runner broadcasts every entry."""
    state = registry_of(kind).build({'type': name, **minimal[name]}).state_dict()
    assert [key for key, value in state.items() if not isinstance(value, torch.Tensor)] == []


def numbers_of(component):
    """Return the arguments of a constructor that are numbers."""
    signature = inspect.signature(component.__init__)
    return [
        name
        for name, parameter in signature.parameters.items()
        if re.search(r'\b(int|float)\b', str(parameter.annotation))
    ]


NUMBERS = [
    (*pair, number)
    for pair in NAMES
    if pair[0] not in RUNNERS
    for number in numbers_of(OURS[pair])
]
# NaN is not refused in these arguments:
NAN_IS_LEFT = {
    # the loss is NaN in the first step, and TrainingGuardHook stops the training
    *('loss_weight', 'variance_weight', 'weight', 'locality_strength'),
    # read later, when the data or the processes are there
    *('seed', 'val_fraction', 'test_classes', 'val_classes', 'num_workers', 'max_keep_ckpts'),
    # limits that decide what is logged
    *('collapse_similarity', 'collapse_rank', 'collapse_gap', 'max_classes', 'min_seconds'),
    *('every', 'started'),
}


def test_there_are_numbers():
    assert len(NUMBERS) > 150


@pytest.mark.slow
@pytest.mark.parametrize(('kind', 'name', 'number'), NUMBERS)
def test_numbers_out_of_range_are_refused_in_words(kind, name, number, minimal):
    for value in (math.nan, math.inf, -1, 0, -0.5):
        with torch.device('meta' if kind == 'model' else 'cpu'):
            try:
                registry_of(kind).build({'type': name, **minimal[name], number: value})
            except (ValueError, TypeError, KeyError) as refusal:
                words = str(refusal).split()
            else:
                words = None
        assert words is None or len(words) > 3, value
        assert words or not math.isnan(value) or number in NAN_IS_LEFT


MODULE_NAMES = [(k, n) for k, n in NAMES if issubclass(OURS[k, n], nn.Module)]


@pytest.mark.parametrize(('kind', 'name'), MODULE_NAMES)
def test_train_and_eval_return_the_module(kind, name, minimal):
    """As in PyTorch; the host's backbones return None."""
    built = registry_of(kind).build({'type': name, **minimal[name]})
    assert built.train() is built
    assert built.training
    assert built.train(False) is built
    assert built.eval() is built
    assert not any(module.training for module in built.modules())


def test_one_registered_class_in_a_file_named_after_it():
    for pair, ours in OURS.items():
        module = ours.__module__
        assert [other for other in OURS.values() if other.__module__ == module] == [ours]
        stem = module.rsplit('.', 1)[1]
        assert stem == stem.lower()
        assert stem.replace('_', '') == pair[1].lower()


def test_packages_export_what_they_register():
    for (_, name), ours in OURS.items():
        package = ours.__module__.rsplit('.', 1)[0]
        if package != 'vit_plugins.engine':  # one file of a kind has no folder yet
            assert name in importlib.import_module(package).__all__


def test_all_lists_what_exists():
    for name in MODULES:
        module = importlib.import_module(name)
        listed = getattr(module, '__all__', [])
        assert len(set(listed)) == len(listed), name
        assert [item for item in listed if not hasattr(module, item)] == [], name


def test_no_vague_file_names():
    vague = {'utils', 'util', 'misc', 'common', 'helper', 'helpers'}
    assert [name for name in MODULES if vague & set(name.split('.'))] == []
