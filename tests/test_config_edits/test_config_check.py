"""Settings that nothing reads: an error where they are clearly wrong, else a warning."""

import glob
import inspect
import re
from pathlib import Path

import mmpretrain
import pytest
from mmengine.config import Config
from mmpretrain.registry import MODELS

from vit_plugins.config_edits.component_arguments import (
    PASSED_ON,
    RUNNER_KEYS,
    _registries,
    accepted,
    nearest,
    unknown_settings,
)
from vit_plugins.config_edits.config_check import (
    check_config,
    impossible_lengths,
    misspelt_keys,
    unknown_optimizers,
)
from vit_plugins.config_edits.recipe_variables import UnusedSettingError

ROOT = Path(__file__).parents[2]
HOST = Path(mmpretrain.__path__[0]) / '.mim/configs'
# A base of every kind is in one of them; all recipes of a folder of drloc differ in data alone.
RECIPES = [
    file
    for file in sorted((ROOT / 'configs').rglob('*.py'))
    if not {'_base_', 'mmseg'} & {*file.parts}
    and (file.parent.parent.name != 'drloc' or file.parent.name == 'cifar100')
]
HOSTS = [
    'resnet/resnet50_8xb32_in1k.py',
    'swin_transformer/swin-base_16xb64_in1k.py',
    'beit/benchmarks/beit-base-p16_8xb128-coslr-100e_in1k.py',
    'mae/mae_vit-base-p16_8xb512-amp-coslr-300e_in1k.py',
    'mobilenet_v3/mobilenet-v3-small_8xb128_in1k.py',
    'arcface/resnet50-arcface_8xb32_inshop.py',
    'efficientnet_v2/efficientnetv2-b0_8xb32_in1k.py',
    'tinyvit/tinyvit-5m-distill_8xb256_in1k.py',
]


def check_recipe(file, capsys):
    check_config(Config.fromfile(file))
    assert 'has no effect' not in capsys.readouterr().out


@pytest.mark.parametrize('file', RECIPES[::30], ids=lambda f: str(f.relative_to(ROOT)))
def test_no_false_alarm_on_some_of_our_recipes(file, capsys):
    check_recipe(file, capsys)


@pytest.mark.slow
@pytest.mark.parametrize('file', RECIPES, ids=lambda f: str(f.relative_to(ROOT)))
def test_no_false_alarm_on_our_recipes(file, capsys):
    check_recipe(file, capsys)


@pytest.mark.slow
@pytest.mark.parametrize('name', HOSTS)
def test_no_false_alarm_on_recipes_of_the_host(name):
    check_config(Config.fromfile(HOST / name))


@pytest.mark.slow
def test_what_is_found_in_all_recipes_of_the_host_is_a_fault_of_theirs():
    found = set()
    files = [f for f in glob.glob(f'{HOST}/**/*.py', recursive=True) if '_base_' not in f]
    for file in files:
        try:
            cfg = Config.fromfile(file)
        except (RuntimeError, ModuleNotFoundError, KeyError):  # of the lazy style, or broken
            continue
        found |= set(unknown_settings(cfg))
    assert len(files) > 400
    assert {line.partition(';')[0] for line in found} == {
        "optim_wrapper.paramwise_cfg: paramwise_cfg has no setting '_delete'"
    }


def test_names_of_the_hosts_recipes_are_not_taken_for_misspelt_ones():
    """A recipe that inherits from the host's need not read their names."""
    names = set()
    for file in HOST.rglob('*.py'):
        names |= set(re.findall(r'^(\w+) = ', file.read_text(), re.MULTILINE))
    names -= RUNNER_KEYS
    assert {'test_pipeline', 'bgr_mean', 'gallery_dataloader', 'view_pipeline'} <= names
    cfg = {name: [dict(type='PackInputs')] for name in names}
    assert not list(misspelt_keys(cfg, sorted(names)))


CONFIG = f"""
_base_ = ['{ROOT}/configs/_base_/default_runtime.py']
size = 16
model = dict(type='ImageClassifier', backbone=dict(type='ConViT', img_size=size),
    head=dict(type='LinearClsHead', num_classes=3, in_channels=192))
train_dataloader = dict(batch_size=8, num_workers=0, sampler=dict(type='DefaultSampler'),
    dataset=dict(type='ImageFolder', data_root='x', pipeline=[dict(type='PackInputs')]))
val_dataloader = train_dataloader
val_evaluator = dict(type='Accuracy')
train_cfg = dict(by_epoch=True, max_epochs=3)
val_cfg = dict()
optim_wrapper = dict(optimizer=dict(type='AdamW', lr=1e-3), clip_grad=dict(max_norm=1.0))
"""


def config(folder, added):
    path = folder / 'mine.py'
    path.write_text(CONFIG + added)
    return Config.fromfile(path)


@pytest.mark.parametrize(
    ('added', 'message'),
    [
        # top-level keys
        ('optim_wraper = dict(clip_grad=None)', "optim_wraper: .*did you mean 'optim_wrapper'"),
        ("custom_hook = [dict(type='EMAHook')]", "custom_hook: .*did you mean 'custom_hooks'"),
        ('val_evaluators = dict(type="Accuracy")', "did you mean 'val_evaluator'"),
        ("tta_pipline = [dict(type='PackInputs')]", "tta_pipline: .*did you mean 'tta_pipeline'"),
        ('tain_dataloader = dict(a=dict(batch_size=3))', "did you mean 'train_dataloader'"),
        ('train_loader = dict(); train_dataloder = dict(batch_size=3)', 'train_dataloader'),
        # hooks
        (
            'default_hooks = dict(checkpoint=dict(intervall=2))',
            "Crash.*'intervall'; did you mean 'interval'",
        ),
        (
            "default_hooks = dict(checkpoint=dict(_delete_=True, type='CheckpointHook', keep=2))",
            "CheckpointHook has no setting 'keep'",
        ),
        (
            "default_hooks = dict(checkpont=dict(type='CheckpointHook'))",
            "did you mean 'checkpoint'",
        ),
        ("custom_hooks = [dict(type='EMAHook', momentun=0.1)]", "did you mean 'momentum'"),
        ("custom_hooks = [dict(type='SeededDrawsHook', seed=0)]", "no setting 'seed'"),
        ('default_hooks = dict(visualization=dict(draw_gtt=1))', "did you mean 'draw_gt'"),
        # loops, loaders and what has no type
        ('train_cfg = dict(by_epoch=True, max_epoch=3)', "did you mean 'max_epochs'"),
        ("train_cfg = dict(type='EpochBasedTrainLoop', max_epoch=3)", "did you mean 'max_epochs'"),
        ('train_cfg = dict(by_epoch=True, max_epochs=3, max_iters=3)', "no setting 'max_iters'"),
        ('val_cfg = dict(fp61=True)', 'val_cfg has no setting'),
        ("train_dataloader['batchsize'] = 4", "did you mean 'batch_size'"),
        ("train_dataloader['sampler']['shufle'] = True", "did you mean 'shuffle'"),
        ("train_dataloader['dataset']['val_fractions'] = 0.1", "did you mean 'val_fraction'"),
        (
            "train_dataloader['dataset']['pipeline'][0]['meta_key'] = ()",
            "did you mean 'meta_keys'",
        ),
        ('env_cfg = dict(cudnn_bench=True)', 'env_cfg has no setting'),
        ('randomness = dict(sead=1)', "'sead'; it has .*seed"),
        # models, metrics and what optimises
        ("model['backbone']['drop_path'] = 0.1", "ConViT has no setting 'drop_path'"),
        ("model['train_cfg'] = dict(augment=[])", "did you mean 'augments'"),
        ("val_evaluator['top_k'] = 1", "did you mean 'topk'"),
        ("optim_wrapper['optimizer']['learning_rate'] = 1", 'AdamW has no setting'),
        ("optim_wrapper['accumulative_count'] = 4", "did you mean 'accumulative_counts'"),
        ("optim_wrapper['clip_grad'] = dict(maxnorm=1.0)", "did you mean 'max_norm'"),
        ("optim_wrapper['paramwise_cfg'] = dict(norm_decay=0.0)", 'no setting'),
        ("param_scheduler = [dict(type='WarmupCosineLR', warm_up=5)]", "did you mean 'warmup'"),
        # lengths
        ('train_cfg = dict(by_epoch=True, max_epochs=3, val_interval=0)', 'val_interval=0 must'),
        ('train_cfg = dict(by_epoch=True, max_epochs=0)', 'max_epochs=0 must'),
        (
            "train_cfg = dict(by_epoch=False, max_iters=float('inf'))",
            'max_iters=inf must be a whole',
        ),
        ("train_cfg = dict(by_epoch=True, max_epochs=float('nan'))", 'max_epochs=nan must'),
        ('train_cfg = dict(by_epoch=True, max_epochs=True)', 'max_epochs=True must'),
        ('train_cfg = dict(by_epoch=True, max_epochs=1.5)', 'max_epochs=1.5 must'),
        ('default_hooks = dict(checkpoint=dict(interval=0))', 'interval=0 must .* or -1'),
        ("val_dataloader = dict(val_dataloader, batch_size='8')", "batch_size='8' must"),
    ],
)
def test_what_has_no_effect_is_refused_with_what_is_meant(added, message, tmp_path):
    with pytest.raises(UnusedSettingError, match=message):
        check_config(config(tmp_path, added))


def test_all_faults_are_named_at_once(tmp_path):
    with pytest.raises(UnusedSettingError) as found:
        check_config(config(tmp_path, "val_evaluator['top_k'] = 1; randomness = dict(sead=1)"))
    assert 'top_k' in str(found.value)
    assert 'sead' in str(found.value)


@pytest.mark.parametrize(
    ('added', 'warned'),
    [
        ('learning_rate = 1e-4', 'learning_rate = 0.0001 has no effect'),
        ("log_lvel = 'DEBUG'", "did you mean 'log_level'"),
        ('lr = 1e-4; optim_wrapper["optimizer"]["lr"] = lr', None),
        ('val_evaluators = dict(type="Accuracy"); val_evaluator = val_evaluators', None),
        ('my_settings = dict(a=1)', None),
    ],
)
def test_a_value_that_nothing_reads_is_warned_of(added, warned, tmp_path, caplog, monkeypatch):
    said = []
    monkeypatch.setattr(
        'vit_plugins.config_edits.config_check.print_log', lambda line, **_: said.append(line)
    )
    check_config(config(tmp_path, added))
    assert len(said) == bool(warned)
    assert not warned or warned in said[0]


def test_a_config_that_a_run_has_written_is_not_warned_of(tmp_path, monkeypatch):
    said = []
    monkeypatch.setattr(
        'vit_plugins.config_edits.config_check.print_log', lambda line, **_: said.append(line)
    )
    config(tmp_path, '').dump(tmp_path / 'written.py')
    check_config(Config.fromfile(tmp_path / 'written.py'))
    assert not said


def test_accepted_arguments():
    class Base:
        def __init__(self, a, b=1):
            pass

    class Child(Base):
        def __init__(self, c, **kwargs):
            super().__init__(**kwargs)

    class Open:
        def __init__(self, **kwargs):
            pass

    class Plain:
        pass

    assert accepted(Child) == {'a', 'b', 'c'}
    assert accepted(Open) is None
    assert accepted(Plain) == set()
    assert accepted(lambda x, *, y: None) == {'x', 'y'}


def test_further_arguments_that_do_not_go_to_the_base():
    class Base:
        def __init__(self, a):
            pass

    class Elsewhere(Base):
        def __init__(self, c, **kwargs):
            super().__init__(a=1)
            self.made = dict(**kwargs)

    class Both(Base):
        def __init__(self, c, **rest):
            self.made = dict(**rest)
            super().__init__(**rest)

    class Reads(Base):
        def __init__(self, **rest):
            if 'e' in rest:
                rest['f'] = rest.pop('d', None)
            super().__init__(**rest)

    class ByName(Base):
        def __init__(self, c, **rest):
            Base.__init__(self, **rest)

    assert accepted(Elsewhere) is None
    assert accepted(Both) is None
    assert accepted(Reads) == {'a', 'd', 'e', 'f'}
    assert accepted(ByName) == {'a', 'c'}


@pytest.mark.parametrize(
    'name',
    [
        *('TIMMBackbone', 'TimmClassifier', 'HuggingFaceClassifier', 'MultiTaskHead'),
        'ShiftWindowMSA',
    ],
)
def test_components_of_the_host_that_pass_settings_on_elsewhere(name):
    assert accepted(MODELS.get(name)) is None


def test_registered_components_with_known_settings_hand_the_others_to_their_base_alone():
    """Read from the source: each ``**rest`` of a call is one of ``__init__``."""
    checked = 0
    for registry in _registries():
        for component in registry.module_dict.values():
            if not isinstance(component, type) or accepted(component) is None:
                continue
            for base in component.__mro__:
                constructor = inspect.unwrap(vars(base).get('__init__', base))
                if not inspect.isfunction(constructor):
                    continue
                rest = inspect.getfullargspec(constructor).varkw
                if rest is None or constructor in PASSED_ON:
                    break
                body = inspect.getsource(constructor).partition(f'**{rest}')[2]
                callers = re.findall(rf'(\w+)\((?:[^()]|\([^()]*\))*?\*\*{rest}\b', body)
                assert set(callers) == {'__init__'}, (component, callers)
                checked += 1
    assert checked > 20


def test_nearest_and_lengths():
    assert nearest('size', {'seed', 'model'}) is None
    assert nearest('modle', {'seed', 'model'}) == 'model'
    assert not list(impossible_lengths(dict(train_cfg=dict(max_iters=5, val_interval=1e9))))


def test_an_optimizer_that_does_not_exist_is_named():
    def told(name):
        return list(unknown_optimizers(dict(optim_wrapper=dict(optimizer=dict(type=name)))))

    assert [told(name) for name in ('AdamW', 'Lamb', 'mmpretrain.Lamb')] == [[], [], []]
    (line,) = told('AdamWW')
    assert line.endswith("there is no optimizer AdamWW; did you mean 'AdamW'?")
    assert 'custom_imports' in told('Qwxyz')[0]
