"""Commands. Only the scripts in ``tools/`` import them.

Each module of a command has ``add_arguments(parser)`` and ``run(args)``, and ``main(argv)`` that
:mod:`mmst.cli.command` puts together of them. The options that commands share are in
:mod:`mmst.cli.options`, what these do to a config in :mod:`mmst.cli.load`, and what becomes of an
error in :mod:`mmst.cli.errors`.
"""
