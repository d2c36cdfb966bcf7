"""Draws the effective receptive fields of trained backbones and of subnets of them.

python tools/analyze_erf.py CONFIG common=CHECKPOINT stimulative=CHECKPOINT --sizes 256
python tools/analyze_erf.py CONFIG CHECKPOINT --depths 2,2,2,2 1,1,1,1 --sizes 128 256 320x480
"""

from mmst.cli.analyze_erf import main

if __name__ == '__main__':
    main()
