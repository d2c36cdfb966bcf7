"""What training costs: stimulative iterations measured against plain ones."""

from .step_config import StepSettings, prepare_step_benchmark
from .step_loop import StepBenchmarkLoop, StepSample
from .step_plot import plot_steps
from .step_report import environment, format_table, write_json
from .step_summary import StepSummary, summarize_steps

__all__ = [
    'StepBenchmarkLoop',
    'StepSample',
    'StepSettings',
    'StepSummary',
    'environment',
    'format_table',
    'plot_steps',
    'prepare_step_benchmark',
    'summarize_steps',
    'write_json',
]
