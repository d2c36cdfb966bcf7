"""Metadata of mmst; the requirements, ranges and tested versions stand in requirements/."""

import re
from collections.abc import Iterator
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent


def requirements(name: str) -> Iterator[str]:
    """Yield the requirements of `requirements/<name>.txt`, following its `-r` lines."""
    for line in (HERE / 'requirements' / f'{name}.txt').read_text().splitlines():
        line = line.partition('#')[0].strip()
        if line.startswith('-r '):
            yield from requirements(line[3:].removesuffix('.txt'))
        elif line:
            yield line


def version() -> str:
    """Read the version without importing mmst, whose requirements may not be installed yet."""
    text = (HERE / 'mmst' / 'version.py').read_text()
    return re.search(r"__version__ = '(.+)'", text).group(1)


setup(
    name='mmst',
    version=version(),
    description='Stimulative training for every OpenMMLab 2.x training loop',
    long_description=(HERE / 'README.md').read_text(encoding='utf-8'),
    long_description_content_type='text/markdown',
    license='Apache-2.0',
    license_files=['LICENSE'],
    python_requires='>=3.10',
    packages=find_packages(include=['mmst', 'mmst.*']),
    package_data={'mmst': ['py.typed', 'mmst.mplstyle']},
    install_requires=list(requirements('runtime')),
    extras_require={
        name: sorted(set(requirements(name)))
        for name in ('cls', 'det', 'seg', 'pose', 'all', 'dev')
    },
    zip_safe=False,
)
