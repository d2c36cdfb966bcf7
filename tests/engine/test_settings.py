"""Any value of a setting is taken, or refused by the name of the setting."""

import math

from fuzzing import examples, own_error
from hypothesis import given
from hypothesis import strategies as st

from mmst.core.schedule import WEIGHT_SCHEDULES
from mmst.engine import HOOKS

SUPERVISION = {'type': 'mmst.GroundTruthSupervision'}

junk = (
    st.integers(-2, 3)
    | st.floats()
    | st.sampled_from([True, None, '', 'constant', 'isolated', 'stop', [], [1], {}, {'type': 1}])
)


def whole(least):
    return lambda value: type(value) is int and value >= least


def number(fits):
    return lambda value: isinstance(value, (int, float)) and fits(value)


rule_settings = {'min_ratio': number(lambda x: 0 < x <= 1), 'size_divisor': whole(1)}
allowed = {
    **rule_settings,
    'num_subnets': whole(1),
    'weight': number(lambda x: 0 <= x < math.inf),
    'begin': whole(0),
    'interval': whole(1),
    'batch_fraction': number(lambda x: 0 < x <= 1),
    'weight_schedule': WEIGHT_SCHEDULES.__contains__,
    'norm': ('isolated', 'shared').__contains__,
    'on_nonfinite': ('stop', 'skip').__contains__,
}


@examples(200)
@given(st.sampled_from(sorted(allowed)), junk)
def test_setting_is_taken_or_refused_by_name(name, value):
    settings = {'type': 'mmst.StimulativeHook', 'supervision': SUPERVISION}
    if name in rule_settings:
        settings['inputs'] = {'type': 'mmst.RandomSmallerInput', name: value}
    else:
        settings[name] = value
    try:
        hook = HOOKS.build(settings)
    except ValueError as error:
        assert not allowed[name](value)
        assert own_error(error)
        assert str(error).startswith(f'{name} must be') and repr(value) in str(error)
    else:
        assert allowed[name](value)
        assert getattr(hook.input_rule if name in rule_settings else hook, name) == value
