"""The version of the package; that of pyproject.toml is the same."""

__version__ = "0.2.0"
