"""A search for counterexamples, the same in every run.

MMST_FUZZ_FACTOR=10 makes it ten times as long.
"""

import os
from pathlib import Path

from hypothesis import HealthCheck, Phase, settings

import mmst

FACTOR = int(os.environ.get('MMST_FUZZ_FACTOR', '1'))


def examples(count):
    """Settings of a search through that many examples, times the factor."""
    return settings(
        max_examples=count * FACTOR,
        derandomize=True,
        deadline=None,
        database=None,
        phases=(Phase.explicit, Phase.generate, Phase.shrink),
        suppress_health_check=[
            HealthCheck.function_scoped_fixture,
            HealthCheck.too_slow,
            HealthCheck.data_too_large,
        ],
    )


def own_error(error):
    """Tells whether mmst itself raised it, with a message that tells the value."""
    trace = error.__traceback__
    while trace.tb_next:
        trace = trace.tb_next
    in_mmst = Path(mmst.__file__).parent in Path(trace.tb_frame.f_code.co_filename).parents
    return in_mmst and 'must' in str(error) and 'got' in str(error)
