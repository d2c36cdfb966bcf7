"""Draws the magnitude of the logits of trained classifiers and of subnets of them.

python tools/analyze_logits.py CONFIG common=CHECKPOINT stimulative=CHECKPOINT
python tools/analyze_logits.py CONFIG CHECKPOINT --subnets 3 --num-images 1000
"""

from mmst.cli.analyze_logits import main

if __name__ == '__main__':
    main()
