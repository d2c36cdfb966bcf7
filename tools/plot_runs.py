"""Draws metric and losses of several runs against epochs and against the computation spent."""

from mmst.cli.plot_runs import main

if __name__ == '__main__':
    main()
