"""Packages that only some commands and formats need: what is missing is named with the command that installs it."""

import importlib
from types import ModuleType

# By the name that is imported.
EXTRA_OF = {
    **dict.fromkeys(("pydicom", "defusedxml", "edfio", "pyarrow"), "formats"),
    **dict.fromkeys(("jinja2", "matplotlib"), "report"),
    **dict.fromkeys(("onnx", "onnxscript", "onnxruntime"), "onnx"),
}
# It asks for pandas below 3, and works with the pinned one.
_NEUROKIT = "--no-deps neurokit2==0.2.13 PyWavelets==1.9.0"


class MissingPackageError(ImportError):
    """A package of an extra that is not installed; the message says how to install it."""


def missing(package: str, purpose: str = "") -> MissingPackageError:
    """The error that an absent package is, neurokit2 or one of `EXTRA_OF`."""
    needed = f"the package {package}{purpose and f' for {purpose}'}"
    wanted = _NEUROKIT if package == "neurokit2" else f"'.[{EXTRA_OF[package]}]'"
    return MissingPackageError(f"expected {needed}, found none; install it with: pip install {wanted}", name=package)


def import_extra(name: str, purpose: str) -> ModuleType:
    """A module of a package of `EXTRA_OF`, which `purpose` needs."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise missing(name.partition(".")[0], purpose) from error
