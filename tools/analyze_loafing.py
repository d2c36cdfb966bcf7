"""Draws how much worse the subnets of trained networks are than the whole of each (loafing).

python tools/analyze_loafing.py CONFIG common=CHECKPOINT stimulative=CHECKPOINT
python tools/analyze_loafing.py CONFIG CHECKPOINT --alone r18=CONFIG18:CHECKPOINT18
"""

from mmst.cli.analyze_loafing import main

if __name__ == '__main__':
    main()
