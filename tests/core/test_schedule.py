import pytest

from mmst.core import weight_factor


def test_half_cosines():
    assert [weight_factor('constant', t) for t in (0, 0.5, 1)] == [1, 1, 1]
    assert [weight_factor('rising', t) for t in (0, 0.5, 1)] == pytest.approx([0, 0.5, 1])
    assert [weight_factor('falling', t) for t in (0, 0.5, 1)] == pytest.approx([1, 0.5, 0])
    assert weight_factor('rising', 0.25) == pytest.approx(0.146447, abs=1e-6)


def test_unknown_schedule_is_refused():
    with pytest.raises(ValueError, match="weight_schedule must be one of .*got 'linear'"):
        weight_factor('linear', 0.0)
