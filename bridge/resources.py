"""Where the files beside the package lie: in a checkout, or in an installed wheel."""

from pathlib import Path

_PACKAGE = Path(__file__).parent
_CHECKOUT = _PACKAGE.parent


def samples() -> Path:
    """Find the folder of captured webhooks and of Iterable's answers."""
    return _find("samples")


def templates() -> Path:
    """Find the folder of payload templates that come with the program."""
    return _find("templates")


def example_config() -> Path:
    """Find the commented example of a configuration."""
    return _find("config.example.yaml")


def _find(name: str) -> Path:
    # Beside an installed package lie other packages, and one may be called `samples`.
    is_checkout = (_CHECKOUT / "pyproject.toml").is_file()
    return (_CHECKOUT if is_checkout else _PACKAGE / "_data") / name
