"""The checkout of a library is checked before its tests run."""

import pytest

from mmst.cli.upstream_tests import check_version


def test_a_checkout_that_tells_no_version_is_refused(tmp_path):
    file = tmp_path / 'mmdet' / 'version.py'
    file.parent.mkdir()
    file.write_text('from ._build import __version__\n')
    with pytest.raises(ValueError, match=r'repository of mmdet, got none: .*has no __version__'):
        check_version('mmdet', tmp_path)
