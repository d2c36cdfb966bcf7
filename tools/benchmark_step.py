"""Measures the cost of stimulative training: its iterations against plain ones, in one process.

python tools/benchmark_step.py configs/faster_rcnn_r50_st.py --size 800 1333 --batch-size 2
python tools/benchmark_step.py configs/faster_rcnn_r50_st.py --mini --num-subnets 0 1 2 --iters 4
"""

from mmst.cli.benchmark_step import main

if __name__ == '__main__':
    main()
