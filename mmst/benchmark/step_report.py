"""The results of a benchmark as a table and as JSON, with all that they depend on."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from .step_loop import StepSample
from .step_summary import StepSummary

__all__ = ['environment', 'format_table', 'write_json']

PACKAGES = ('mmst', 'torch', 'mmengine', 'mmcv', 'mmdet', 'mmsegmentation', 'mmpose', 'mmpretrain')
THREAD_VARIABLES = ('OMP_NUM_THREADS', 'OMP_WAIT_POLICY', 'GOMP_SPINCOUNT', 'MKL_NUM_THREADS')

HEADER = (
    ('', 'time of an', '', 'FLOPs', 'time :', '', 'peak', 'resizing', '', 'ground', 'other,'),
    (
        *('', 'iteration', 'time', '(floor)', 'floor', '95 %', 'memory', '(all)', 'images'),
        *('truth', 'a pass'),
    ),
)


def environment(device: torch.device) -> dict[str, Any]:
    """Describes what the durations depend on: device, threads, versions."""
    return {
        'device': str(device),
        'device_name': _device_name(device),
        'threads': torch.get_num_threads(),
        'cpu_count': os.cpu_count(),
        'variables': {name: os.environ[name] for name in THREAD_VARIABLES if name in os.environ},
        'cudnn_benchmark': torch.backends.cudnn.benchmark,
        'tf32_matmul': torch.backends.cuda.matmul.allow_tf32,
        'versions': {
            'python': platform.python_version(),
            'cuda': torch.version.cuda,
            'cudnn': torch.backends.cudnn.version(),
            **{name: _version(name) for name in PACKAGES},
        },
    }


def format_table(summaries: Sequence[StepSummary]) -> str:
    """Formats one line for each arm; times and memory as ratios to those of plain training."""
    lines = [*HEADER, *(_cells(summary) for summary in summaries)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEADER[0]))]
    return '\n'.join(
        '  '.join(
            cell.rjust(width) if column else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def write_json(
    path: str | Path,
    *,
    settings: Mapping[str, Any],
    environment: Mapping[str, Any],
    summaries: Sequence[StepSummary],
    samples: Sequence[StepSample],
) -> None:
    """Writes results with every sample.

    Args:
        path: File to write.
        settings: All that was chosen.
        environment: What :func:`environment` returns.
        summaries: The result of each arm.
        samples: Each measured iteration.
    """
    content = {
        'settings': dict(settings),
        'environment': dict(environment),
        'summary': [asdict(summary) for summary in summaries],
        'samples': [asdict(sample) for sample in samples],
    }
    Path(path).write_text(json.dumps(content, indent=1) + '\n')


def _cells(summary: StepSummary) -> tuple[str, ...]:
    low, high = summary.to_floor_range
    shares = (
        summary.resize_share,
        summary.resize_inputs_share,
        summary.resize_ground_truth_share,
    )
    return (
        summary.arm,
        f'{summary.seconds * 1000:.1f} ms',
        f'{summary.time_ratio:.3f}',
        f'{summary.floor:.3f}',
        f'{summary.to_floor:.3f}',
        f'{low:.3f} to {high:.3f}',
        f'{summary.memory_ratio:.3f}',
        *(f'{100 * share:.2f} %' if summary.num_subnets else '-' for share in shares),
        f'{summary.other_ms:.2f} ms' if summary.num_subnets else '-',
    )


def _device_name(device: torch.device) -> str:
    if device.type == 'cuda':
        return torch.cuda.get_device_name(device)
    info = Path('/proc/cpuinfo')
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith('model name'):
                return line.partition(':')[2].strip()
    return platform.processor() or platform.machine()


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
