"""The files that come with the package: reward weights and the shipped model."""

from pathlib import Path

_CHECKOUT = Path(__file__).resolve().parents[1]
_INSTALLED = Path(__file__).resolve().with_name("data")


def is_checkout() -> bool:
    """Whether the package runs from the project's folder, beside `team_code.py`, rather than installed."""
    return not _INSTALLED.is_dir()


def resource(name: str) -> Path:
    """The path of `weights.csv` or `model`: in the package where it is installed, beside it in the project's folder."""
    return (_CHECKOUT if is_checkout() else _INSTALLED) / name


def shipped_models() -> list[Path]:
    """The shipped models that statements are made of, as far as they are there."""
    folders = (resource("model"), resource("model") / "statements")
    return [folder for folder in folders if (folder / "config.json").exists()]
