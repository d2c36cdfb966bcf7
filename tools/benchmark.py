"""Runs a grid of trainings, and puts its results into a page.

python tools/benchmark.py run tools/experiments/grocery.yaml --data-root DATA/grocery
python tools/benchmark.py table docs/results.md tools/experiments/*.yaml
"""

from mmst.cli.benchmark import main

if __name__ == '__main__':
    main()
