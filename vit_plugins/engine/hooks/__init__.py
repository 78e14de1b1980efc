from .crash_safe_checkpoint_hook import CrashSafeCheckpointHook
from .drloc_source_hook import DRLocSourceHook
from .learning_curve_hook import LearningCurveHook
from .loss_weight_hook import LossWeightHook
from .progress_hook import ProgressHook

__all__ = [
    'CrashSafeCheckpointHook',
    'DRLocSourceHook',
    'LearningCurveHook',
    'LossWeightHook',
    'ProgressHook',
]
