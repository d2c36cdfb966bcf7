"""KEY=VALUE pairs are read in Python's or mmengine's notation, or refused in one line."""

import argparse

import pytest

from mmst.cli import options


def read(capsys, *words):
    parser = argparse.ArgumentParser()
    options.add_config(parser)
    options.add_cfg_options(parser)
    try:
        return parser.parse_args(['config.py', *words])
    except SystemExit:
        return capsys.readouterr().err.splitlines()[-1]


FLIP = "[dict(type='RandomHorizontalFlip', p=1.0)]"


@pytest.mark.parametrize(
    ('text', 'value'),
    [
        (FLIP, [{'type': 'RandomHorizontalFlip', 'p': 1.0}]),
        ("dict(type='A', inner=dict(size=(2, 3)), on=True)",
         {'type': 'A', 'inner': {'size': (2, 3)}, 'on': True}),
        ("{'type': 'A', 'p': None}", {'type': 'A', 'p': None}),
        ('(1, 2, 4, 1)', (1, 2, 4, 1)),
        ('0.5', 0.5),
        ("'logits'", 'logits'),
        ('', ''),
        # mmengine's notation
        ('logits', 'logits'),
        ('mmst.KLMinusLoss', 'mmst.KLMinusLoss'),
        ('true', True),
        ('None', None),
        ('[a,b]', ['a', 'b']),
        ('data/x=1', 'data/x=1'),
    ],
)  # fmt: skip
def test_settings_are_literals_or_plain_words(capsys, text, value):
    settings = read(capsys, '--stimulate', f'key={text}', 'other=1').stimulate
    assert settings == {'key': value, 'other': 1}
    assert type(settings['key']) is type(value)


@pytest.mark.parametrize(
    'text', ['dict(type=A, p=1.0)', '[dict(1, 2), 3]', 'dict(**{}, p=1), 2', '(1, 2', 'open(a, b)']
)
def test_what_cannot_be_read_is_one_line(capsys, text):
    message = read(capsys, '--stimulate', f'transforms={text}')
    assert f'error: --stimulate cannot read the value of transforms={text}; ' in message
    assert 'with strings in quotes' in message


def test_changes_of_the_config_stay_in_mmengines_notation(capsys):
    changes = read(capsys, '--cfg-options', 'a=1,2', 'b.c=[(1,2),x]', "d='e'").cfg_options
    assert changes == {'a': [1, 2], 'b.c': [(1, 2), 'x'], 'd': 'e'}
    again = read(capsys, '--cfg-options', 'a=1', '--cfg-options', 'b=2').cfg_options
    assert again == {'a': 1, 'b': 2}


@pytest.mark.parametrize('text', [FLIP, '(1,2'])
def test_a_dict_among_them_is_one_line(capsys, text):
    message = read(capsys, '--cfg-options', f'a.b={text}')
    assert f'error: --cfg-options cannot read the value of a.b={text}; ' in message
    assert 'write' in message and 'KEY.ENTRY=...' in message


@pytest.mark.parametrize('option', ['--stimulate', '--cfg-options'])
def test_a_word_without_value_must_stand_before(capsys, option):
    assert f"{option} takes KEY=VALUE, got 'config.py'; put it before" in read(
        capsys, option, 'a=1', 'config.py'
    )
