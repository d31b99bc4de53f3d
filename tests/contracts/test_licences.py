"""
docs/licences.md: every package in the images with its licence, and what its wheel brings along.

Run this file to write the tables anew: ``python tests/contracts/test_licences.py``.
"""

import platform
import re
import sys
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "licences.md"
LOCKS = ("service", "embedder-cpu")
BEGIN, END = "<!-- written by tests/contracts/test_licences.py -->\n", "<!-- end -->\n"

EXPRESSIONS = {
    "3-Clause BSD License": "BSD-3-Clause",
    "Apache 2": "Apache-2.0",
    "Apache 2.0": "Apache-2.0",
    "Apache Software License": "Apache-2.0",
    "BSD License": "BSD-3-Clause",
    "ISC License": "ISC",
    "MIT License": "MIT",
}
"""SPDX expressions for what older packages state in words."""

STATIC = {
    "pillow-jxl-plugin": ("libjxl",),
    "rawpy": ("LibRaw",),
    "onnxruntime": ("oneDNN and Eigen",),
}
"""Libraries that are part of a package's own binary, and so no file of the wheel names them."""

BUNDLED = {
    "LibRaw": "LGPL-2.1-only OR CDDL-1.0",
    "libXau": "MIT",
    "libaom": "BSD-2-Clause",
    "libav": "LGPL-2.1-or-later (FFmpeg)",
    "libavif": "BSD-2-Clause",
    "libbrotli": "MIT",
    "libcom_err": "MIT",
    "libcrypt": "LGPL-2.1-or-later",
    "libcrypto": "Apache-2.0 (OpenSSL)",
    "libde265": "LGPL-3.0-or-later",
    "libdrm": "MIT",
    "libfreetype": "FTL OR GPL-2.0-or-later",
    "libgfortran": "GPL-3.0-or-later WITH GCC-exception-3.1",
    "libgomp": "GPL-3.0-or-later WITH GCC-exception-3.1",
    "libgssapi_krb5": "MIT",
    "libharfbuzz": "MIT",
    "libheif": "LGPL-3.0-or-later",
    "libjasper": "JasPer-2.0",
    "libjpeg": "IJG AND BSD-3-Clause (libjpeg-turbo)",
    "libjxl": "BSD-3-Clause",
    "libk5crypto": "MIT",
    "libkeyutils": "LGPL-2.1-or-later",
    "libkrb5": "MIT",
    "liblber": "OLDAP-2.8",
    "liblcms2": "MIT",
    "libldap": "OLDAP-2.8",
    "liblzma": "0BSD",
    "libopenblas": "BSD-3-Clause",
    "libopenjp2": "BSD-2-Clause",
    "libpng16": "libpng-2.0",
    "libpq": "PostgreSQL",
    "libquadmath": "LGPL-2.1-or-later",
    "libsasl2": "BSD-4-Clause-UC",
    "libscipy_openblas": "BSD-3-Clause",
    "libsharpyuv": "BSD-3-Clause",
    "libssl": "Apache-2.0 (OpenSSL)",
    "libsw": "LGPL-2.1-or-later (FFmpeg)",
    "libtiff": "libtiff",
    "libvpx": "BSD-3-Clause",
    "libwebp": "BSD-3-Clause",
    "libx265": "GPL-2.0-or-later",
    "libxcb": "MIT",
    "libzstd": "BSD-3-Clause",
    "oneDNN and Eigen": "Apache-2.0; MPL-2.0",
}
"""The licence of each library by the beginning of its file's name, as its project states it."""


def packages() -> dict[str, Distribution]:
    """Every package of the images that this machine has, by name."""
    found = {}
    for lock in LOCKS:
        text = (ROOT / "docker" / f"{lock}.lock").read_text(encoding="utf-8")
        for name in re.findall(r"^([A-Za-z0-9_.-]+)==", text, re.MULTILINE):
            try:
                found[name] = distribution(name)
            except PackageNotFoundError:
                continue  # for another operating system
    return dict(sorted(found.items()))


def licence(package: Distribution) -> str:
    """The SPDX expression of a package, from its metadata."""
    expressions = package.metadata.get_all("License-Expression") or []
    if expressions:
        return str(expressions[0])
    stated = str((package.metadata.get_all("License") or [""])[0]).partition("\n")[0].strip()
    classes = [name for name in package.metadata.get_all("Classifier") or [] if name.startswith("License ::")]
    words = stated or classes[-1].rpartition(" :: ")[2]
    return EXPRESSIONS.get(words, words)


def bundled(package: Distribution) -> list[str]:
    """The libraries that a wheel brings along, by the beginning of their names in ``BUNDLED``."""
    files = {Path(str(file)).name for file in package.files or [] if ".libs/" in str(file)}
    starts = {max((key for key in BUNDLED if name.startswith(key)), key=len, default=name) for name in files}
    return sorted({*starts, *STATIC.get(package.metadata["Name"], ())}, key=str.lower)


def tables() -> str:
    rows = ["| package | licence |", "|---|---|"]
    rows += [f"| {name} | {licence(package)} |" for name, package in packages().items()]
    rows += ["", "| library | licence | in the wheel of |", "|---|---|---|"]
    owners: dict[str, list[str]] = {}
    for name, package in packages().items():
        for library in bundled(package):
            owners.setdefault(library, []).append(name)
    rows += [
        f"| {library} | {BUNDLED[library]} | {', '.join(owners[library])} |"
        for library in sorted(owners, key=str.lower)
    ]
    return "\n".join(rows) + "\n"


def written(page: str) -> str:
    """The page with its tables as they should be."""
    head, _, rest = page.partition(BEGIN)
    return f"{head}{BEGIN}\n{tables()}\n{END}{rest.partition(END)[2]}"


@pytest.mark.skipif(
    (sys.platform, platform.machine()) != ("linux", "x86_64"), reason="wheels of other machines bring other libraries"
)
def test_the_page_has_every_package_and_every_library_with_its_licence() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert page == written(page)


def test_no_package_is_without_a_licence() -> None:
    assert len(packages()) > 40
    assert [name for name, package in packages().items() if not re.search(r"[A-Z]", licence(package))] == []


def test_the_parts_that_are_under_the_gpl_are_named() -> None:
    page = PAGE.read_text(encoding="utf-8")
    for part in (
        "pillow-jxl-plugin | GPL-3.0-or-later",
        "libx265 | GPL-2.0-or-later",
        "libcrypto | Apache-2.0 (OpenSSL)",
    ):
        assert f"| {part}" in page


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
