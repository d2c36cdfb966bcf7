"""Takes a subnet out of a trained network: a smaller checkpoint with its config.

python tools/export_subnet.py CONFIG CHECKPOINT OUT --depths 2,3,4,2
python tools/export_subnet.py CONFIG CHECKPOINT OUT --max-flops 0.8
"""

from mmst.cli.export_subnet import main

if __name__ == '__main__':
    main()
