"""Measured cost of training, and grids of trainings: run, tabulated, drawn."""

from .cell import Cell, cell_config, make_cells
from .grid import Arm, Effect, Grid, chosen, load_grid
from .results import ArmResults, format_results, read_results, replace_results
from .results_plot import plot_results
from .runner import CellRunner, run_cells
from .step_config import StepSettings, prepare_step_benchmark
from .step_loop import StepBenchmarkLoop, StepSample
from .step_plot import plot_steps
from .step_report import environment, format_table, write_json
from .step_summary import StepSummary, summarize_steps
from .training_cost import TrainingCost, equal_iters, training_cost

__all__ = [
    'Arm',
    'ArmResults',
    'Cell',
    'CellRunner',
    'Effect',
    'Grid',
    'StepBenchmarkLoop',
    'StepSample',
    'StepSettings',
    'StepSummary',
    'TrainingCost',
    'cell_config',
    'chosen',
    'environment',
    'equal_iters',
    'format_results',
    'format_table',
    'load_grid',
    'make_cells',
    'plot_results',
    'plot_steps',
    'prepare_step_benchmark',
    'read_results',
    'replace_results',
    'run_cells',
    'summarize_steps',
    'training_cost',
    'write_json',
]
