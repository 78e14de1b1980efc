"""Modules that have moved: their old names import for one release, with a warning."""

from __future__ import annotations

import importlib
import sys
import warnings
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

PACKAGE = 'vit_plugins'
# The old name, below the package: the modules that hold its content now, the main one first.
MOVED = {
    'datasets.annotations': 'datasets._annotations',
    'datasets.dataset_wrapper': 'datasets._dataset_wrapper',
    'datasets.image_cache': 'datasets._image_cache',
    'datasets.restricted_pickle': 'datasets._restricted_pickle',
    'datasets.transforms.antialiased_resize': 'datasets.transforms._antialiased_resize',
    'datasets.transforms.batch.blurs': 'datasets.transforms.batch._blurs',
    'datasets.transforms.batch.choices': 'datasets.transforms.batch._choices',
    'datasets.transforms.batch.colours': 'datasets.transforms.batch._colours',
    'datasets.transforms.batch.mirrored': 'datasets.transforms.batch._mirrored',
    'datasets.transforms.batch.pixel_noise': 'datasets.transforms.batch._pixel_noise',
    'datasets.transforms.batch.policies': 'datasets.transforms.batch._policies',
    'datasets.transforms.batch.resampling': 'datasets.transforms.batch._resampling',
    'datasets.transforms.batch.tones': 'datasets.transforms.batch._tones',
    'datasets.transforms.batch.warps': 'datasets.transforms.batch._warps',
    'datasets.transforms.batch.windows': 'datasets.transforms.batch._windows',
    'datasets.transforms.image_array': 'datasets.transforms._image_array',
    'datasets.transforms.pil_blur': 'datasets.transforms._pil_blur',
    'datasets.transforms.pil_jitter': 'datasets.transforms._pil_jitter',
    'allow_list_unpickler': 'weights.allow_list_unpickler',
    'augmentation_sheet': 'visualization.augmentation',
    'checkpoints': 'weights.safe_reading',
    'conversion': 'weights.converting',
    'crop_geometry': 'visualization.crops',
    'datasets.class_settings': 'config_edits.classes',
    'datasets.crop_ratio': 'config_edits.crop_ratio',
    'datasets.data_root': (
        'config_edits.data_root config_edits.folder_reading config_edits.folder_description '
        'config_edits.known_layout config_edits.retrieval_data'
    ),
    'datasets.photo_pipeline': (
        'config_edits.photos config_edits.walking datasets.transforms.load_photo '
    ),
    'datasets.presence': 'config_edits.presence',
    'datasets.samplers.hard_negatives': 'evaluation.functional.hard_negatives',
    'drawn_parameters': 'visualization.sampled_parameters',
    'draws': 'datasets.seeds',
    'embedding_report': 'inference.compare inference.features',
    'engine.atomic_backend': 'fileio.atomic_backend',
    'engine.component_arguments': 'config_edits.component_arguments',
    'engine.config_check': 'config_edits.config_check',
    'engine.cross_validation': 'studies.folds',
    'engine.epoch_scaling': 'config_edits.scale_epochs',
    'engine.fine_tuning': 'config_edits.pretrained',
    'engine.recipe_variables': 'config_edits.recipe_variables',
    'engine.recipe_weights': 'config_edits.recipe_weights',
    'engine.resume': 'weights.newest_checkpoint',
    'engine.schedule_length': 'config_edits.fit_schedules',
    'evaluation.above_counting': 'evaluation.functional.counts_above',
    'evaluation.class_f1': 'evaluation.metrics.class_f1',
    'evaluation.embedding_statistics': 'evaluation.functional.embedding_statistics',
    'evaluation.pca': 'evaluation.functional.pca',
    'evaluation.probes': 'evaluation.functional.probes',
    'evaluation.real_accuracy': 'evaluation.metrics.real_accuracy',
    'evaluation.retrieval_metric': 'evaluation.metrics.retrieval_metric',
    'evaluation.retrieval_ranking': 'evaluation.functional.retrieval_ranking',
    'evaluation.retrieval_scores': 'evaluation.functional.retrieval_scores',
    'evaluation.revisited_protocol': 'evaluation.functional.revisited_protocol',
    'evaluation.revisited_retrieval_metric': 'evaluation.metrics.revisited_retrieval_metric',
    'evaluation.sample_collection': 'evaluation.functional.sample_collection',
    'feature_probe': 'inference.probe inference.features inference.loading',
    'file_lock': 'fileio.file_lock',
    'finite': 'evaluation.functional.finite',
    'gallery': 'inference.gallery',
    'models.backbones.convit_weights': 'weights.names.convit',
    'models.backbones.cvt_weights': 'weights.names.cvt',
    'models.backbones.deit3_weights': 'weights.names.deit3',
    'models.backbones.deit_weights': 'weights.names.deit',
    'models.backbones.google_weights': 'weights.names.google',
    'models.backbones.hybrid_weights': 'weights.names.hybrid',
    'models.backbones.t2t_weights': 'weights.names.t2t',
    'models.backbones.vit_weights': (
        'weights.official_files weights.names.official weights.names.vit '
    ),
    'photo_inference': 'inference.photos inference.photo_names inference.loading',
    'picture_sheet': 'visualization.sheets',
    'plain_arrays': 'weights.plain_arrays',
    'prediction': 'inference.classify',
    'prediction_writers': 'inference.prediction_writers',
    'printable_text': 'fileio.printable_text',
    'published_weights': 'weights.index',
    'search_results': 'inference.search_page inference.search',
    'studies.figures': 'visualization.curves',
    'studies.statistics': 'evaluation.functional.statistics',
    'thread_waiting': 'host.thread_waiting',
}


class MovedModules(MetaPathFinder, Loader):
    """Finds a module that has moved, after all other finders have failed."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return a spec for the old name of a module; None for all other names."""
        package, _, name = fullname.partition('.')
        return ModuleSpec(fullname, self) if package == PACKAGE and name in MOVED else None

    def exec_module(self, module: ModuleType) -> None:
        """Fill the old module: each name is looked up where it is now."""
        old = module.__name__
        homes = [f'{PACKAGE}.{home}' for home in MOVED[old.partition('.')[2]].split()]
        warnings.warn(
            f'{old} has moved: import {" or ".join(homes)}. The old name goes with the next '
            'release.',
            DeprecationWarning,
            stacklevel=2,
        )

        def lookup(name: str) -> object:
            for home in map(importlib.import_module, homes):
                if hasattr(home, name):
                    return getattr(home, name)
            raise AttributeError(f'module {old!r} has no attribute {name!r}')

        module.__getattr__ = lookup
        found = [n for home in homes for n in vars(importlib.import_module(home))]
        module.__all__ = sorted({name for name in found if not name.startswith('_')})
        module.__dir__ = lambda: module.__all__


def install() -> None:
    """Install the finder; a second call changes nothing."""
    if not any(isinstance(finder, MovedModules) for finder in sys.meta_path):
        sys.meta_path.append(MovedModules())
