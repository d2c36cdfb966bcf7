"""Runs an upstream library's own tests plainly and with subnets, and prints what differs.

python tools/upstream_tests.py mmdet ~/mmdetection
python tools/upstream_tests.py mmseg ~/mmsegmentation tests/test_models/test_backbones -k resnet
"""

from mmst.cli.upstream_tests import main

if __name__ == '__main__':
    main()
