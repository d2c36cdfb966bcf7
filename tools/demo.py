"""Trains a small detector on generated images with stimulative training, and shows the result.

python tools/demo.py

Runs `tools/train.py CONFIG --mini --seed 0` and leaves in the work dir the checkpoint, the log,
`loss_curves.png` and `detections.png`. It always trains again: results of an earlier demo, finished
or interrupted, are removed first. `--report` draws and prints a finished demo again, without
training.
"""

from mmst.cli.demo import main

if __name__ == '__main__':
    main()
