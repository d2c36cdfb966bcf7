"""Error exit of every command.

Bad input is one line, ``ErrorType: message``, and exit status 1; all else is a traceback. Which of
them an error is depends on when and where it was raised:

* While a command prepares (:func:`preparation`) it reads options, configs and files, so what fails
  is most often one of those.
* Later, code of the config's author runs: hooks, data sets, models. Then an error is bad input if
  mmst raised it on purpose, if mmst could not read or write a file, or if a part of the config has
  an unknown type or arguments that do not fit.
"""

from __future__ import annotations

import dis
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType

from mmengine.logging import MMLogger

__all__ = ['ErrorExit', 'preparation']

INPUT_ERRORS = (ValueError, OSError, RuntimeError, ImportError, SyntaxError)
"""Errors that a wrong option, config or file leads to. The others are most often bugs."""

BUILDERS = ('mmengine.registry.build_functions', 'mmst.engine.registry')
"""Modules that call a class with the arguments that a config has for it."""

_MARK = '_mmst_bad_input'


@contextmanager
def preparation() -> Iterator[None]:
    """Marks what is raised within it, or in a function that it decorates, as bad input."""
    try:
        yield
    except INPUT_ERRORS as error:
        setattr(error, _MARK, True)
        raise


class ErrorExit:
    """Context manager around a whole command that decides how an error is shown.

    Attributes:
        debug: Whether bad input is shown with its traceback.

    Raises:
        SystemExit: The input was bad. Its value is the line to print.
    """

    debug = False

    def __enter__(self) -> ErrorExit:
        return self

    def __exit__(
        self, kind: type | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not isinstance(error, Exception):
            return
        origin = _origin(error)
        if origin is not error:
            error.__suppress_context__ = False  # lets Python show the line that failed
        _write_to_log(error)
        if not self.debug and (hasattr(error, _MARK) or _is_check(origin)):
            sys.exit(_line(origin))


def _origin(error: BaseException) -> BaseException:
    """The TypeError that ``Runner.call_hook`` replaced by one without traceback, or the error."""
    before = error.__context__
    hidden = error.__suppress_context__ and error.__cause__ is None
    by_runner = _module(_entries(error)[-1]) == 'mmengine.runner.runner'
    if hidden and isinstance(before, TypeError) and by_runner:
        return before
    return error


def _is_check(error: BaseException) -> bool:
    """Tells whether mmst raised an error on purpose, or what builds the parts of a config.

    The last instruction of the traceback tells a ``raise`` from an accident. The type cannot: a bug
    of mmst may be a ValueError or RuntimeError as well. The line cannot either: a bug may be in the
    text of the message. Callers catch the builtin types, so mmst has no type of its own for this.
    """
    entries = _entries(error)
    if isinstance(error, OSError):  # raised by the standard library for who calls it
        modules = [_module(entry) for entry in entries]
        callers = [name for name in modules if name.split('.')[0] not in sys.stdlib_module_names]
        return _is_own(callers[-1]) or callers[-1] == 'mmengine.utils.path'
    last = entries[-1]
    on_purpose = dis.opname[last.tb_frame.f_code.co_code[last.tb_lasti]] == 'RAISE_VARARGS'
    if _module(last) in BUILDERS:
        return isinstance(error, TypeError) or (isinstance(error, KeyError) and on_purpose)
    return _is_own(_module(last)) and on_purpose


def _is_own(module: str) -> bool:
    return module.split('.')[0] == 'mmst'


def _module(entry: TracebackType) -> str:
    return entry.tb_frame.f_globals.get('__name__', '')


def _entries(error: BaseException) -> list[TracebackType]:
    """Traceback of an error, from the command to the raise."""
    entries, entry = [], error.__traceback__
    while entry is not None:
        entries.append(entry)
        entry = entry.tb_next
    return entries


def _line(error: BaseException) -> str:
    """A message as one line."""
    is_quoted = isinstance(error, KeyError) and error.args  # str() of a KeyError is a repr
    message = ' '.join(str(error.args[0] if is_quoted else error).split())
    return f'{type(error).__name__}: {message}'


def _write_to_log(error: BaseException) -> None:
    """Writes a traceback to the log file of the run, if there is one, and not to the terminal."""
    logger = MMLogger.get_current_instance()
    last = _entries(error)[-1]
    record = logger.makeRecord(
        logger.name,
        logging.ERROR,
        last.tb_frame.f_code.co_filename,
        last.tb_lineno,
        'The run ended with an error.',
        (),
        (type(error), error, error.__traceback__),
        last.tb_frame.f_code.co_name,
    )
    for handler in logger.handlers:
        if isinstance(handler, logging.FileHandler):
            handler.handle(record)
