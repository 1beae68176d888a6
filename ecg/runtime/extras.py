"""Packages that only some commands and formats need: what is missing is named with the command that installs it."""

import importlib
from types import ModuleType

# What pip is given, by the name that is imported.
INSTALLED_BY = {
    **dict.fromkeys(("pydicom", "defusedxml", "edfio", "pyarrow"), "'.[formats]'"),
    **dict.fromkeys(("jinja2", "matplotlib"), "'.[report]'"),
    **dict.fromkeys(("onnx", "onnxscript", "onnxruntime"), "'.[onnx]'"),
    "neurokit2": "--no-deps neurokit2==0.2.13 PyWavelets==1.9.0",  # asks for pandas below 3, works with the pinned one
}


class MissingPackageError(ImportError):
    """A package of an extra that is not installed; the message says how to install it."""


def missing(package: str, purpose: str = "") -> MissingPackageError:
    """The error that an absent package of `INSTALLED_BY` is."""
    needed = f"the package {package}{purpose and f' for {purpose}'}"
    install = f"pip install {INSTALLED_BY[package]}"
    return MissingPackageError(f"expected {needed}, found none; install it with: {install}", name=package)


def import_extra(name: str, purpose: str) -> ModuleType:
    """A module of a package of `INSTALLED_BY`, which `purpose` needs."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise missing(name.partition(".")[0], purpose) from error
