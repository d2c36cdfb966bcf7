"""Logs of runs as mmengine writes them."""

import json

import pytest


@pytest.fixture
def write(tmp_path):
    """Writes the logs of successive starts of a run into its work dir, which it returns."""

    def write_runs(*runs, name='run'):
        for number, lines in enumerate(runs):
            folder = tmp_path / name / f'2026010{number}_000000' / 'vis_data'
            folder.mkdir(parents=True, exist_ok=True)
            text = ''.join(f'{json.dumps(line)}\n' for line in lines)
            (folder / 'scalars.json').write_text(text)
        return tmp_path / name

    return write_runs
