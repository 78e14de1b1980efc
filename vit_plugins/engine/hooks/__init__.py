from .best_confusion_hook import BestConfusionHook
from .bounded_history_hook import BoundedHistoryHook
from .crash_safe_checkpoint_hook import CrashSafeCheckpointHook
from .drloc_source_hook import DRLocSourceHook
from .fit_pca_hook import FitPCAHook
from .fractional_switch_recipe_hook import FractionalSwitchRecipeHook
from .gate_hook import GateHook
from .grouped_step_hook import GroupedStepHook
from .hard_negative_mining_hook import HardNegativeMiningHook
from .learning_curve_hook import LearningCurveHook
from .locality_hook import LocalityHook
from .loss_weight_hook import LossWeightHook
from .metric_name_hook import MetricNameHook
from .offset_error_hook import OffsetErrorHook
from .progress_hook import ProgressHook
from .report_page_hook import ReportPageHook
from .resumed_settings_hook import ResumedSettingsHook
from .retrieval_baseline_hook import RetrievalBaselineHook
from .run_record_hook import RunRecordHook
from .score_report_hook import ScoreReportHook
from .seeded_draws_hook import SeededDrawsHook
from .strict_load_hook import StrictLoadHook
from .time_budget_hook import TimeBudgetHook
from .training_forecast_hook import TrainingForecastHook
from .training_guard_hook import TrainingGuardHook
from .training_report_hook import TrainingReportHook

__all__ = [
    'BestConfusionHook',
    'BoundedHistoryHook',
    'CrashSafeCheckpointHook',
    'DRLocSourceHook',
    'FitPCAHook',
    'FractionalSwitchRecipeHook',
    'GateHook',
    'GroupedStepHook',
    'HardNegativeMiningHook',
    'LearningCurveHook',
    'LocalityHook',
    'LossWeightHook',
    'MetricNameHook',
    'OffsetErrorHook',
    'ProgressHook',
    'ReportPageHook',
    'ResumedSettingsHook',
    'RetrievalBaselineHook',
    'RunRecordHook',
    'ScoreReportHook',
    'SeededDrawsHook',
    'StrictLoadHook',
    'TimeBudgetHook',
    'TrainingForecastHook',
    'TrainingGuardHook',
    'TrainingReportHook',
]
