"""The parser of every command: bad usage is one line, with the spelling that was probably meant."""

import argparse
import platform
import re
import sys
from collections.abc import Sequence
from difflib import get_close_matches
from importlib import metadata
from itertools import takewhile
from pathlib import Path
from typing import Any, NoReturn

from ..errors import one_line
from ..version import __version__

LIBRARIES = ("torch", "transformers", "av")  # whose versions matter in a report
_CHOICES = re.compile(r"invalid choice: '(.*)' \(choose from (.*)\)", re.DOTALL)
_UNKNOWN = "unrecognized arguments: "


class CommandParser(argparse.ArgumentParser):
    """Bad usage is one line and exit code 2; inputs may stand before and after options."""

    def parse_known_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: Any = None
    ) -> tuple[Any, list[str]]:
        """Parse; the command that an unknown option follows refuses it, not the whole program."""
        given = [*(sys.argv[1:] if args is None else args)]
        # before what is missing, for that may be what was mistyped
        if self._subparsers is None and (unknown := self._unknown_options(given)):
            self.error(_UNKNOWN + " ".join(unknown))
        found, unknown = super().parse_known_args(given, namespace)
        listed = next((a for a in self._get_positional_actions() if a.nargs in ("*", "+")), None)
        if listed is not None:  # argparse takes only those that stand together
            late = [text for text in unknown if not text.startswith("-")]
            values = [self._get_value(listed, text) for text in late]
            setattr(found, listed.dest, [*getattr(found, listed.dest), *values])
            unknown = [text for text in unknown if text.startswith("-")]
        if unknown:
            self.error(_UNKNOWN + " ".join(unknown))
        return found, []

    def _unknown_options(self, args: Sequence[str]) -> list[str]:
        """The long options that no option begins with."""
        known = tuple(self._option_string_actions)
        names = [text.partition("=")[0] for text in takewhile(lambda text: text != "--", args)]
        return [
            name
            for name in names
            if name.startswith("--") and not any(option.startswith(name) for option in known)
        ]

    def error(self, message: str) -> NoReturn:
        """Say what is wrong and what was probably meant; the whole help is a `--help` away."""
        hint = "".join(f"; did you mean {name}?" for name in self._meant(message))
        name, *_ = message.removeprefix(_UNKNOWN).split()
        if message.startswith(_UNKNOWN) and Path(name).exists():
            quoted = "; put a pattern such as '*.mp4' in quotes"
            hint = f"; for the file, write ./{name}" if name.startswith("-") else quoted
        line = one_line(f"{self.prog}: error: {message}{hint} (see {self.prog} --help)")
        self.exit(2, f"{line}\n")

    def _meant(self, message: str) -> list[str]:
        """The correct spelling of the wrong word in a message, if one is near."""
        if found := _CHOICES.search(message):
            return get_close_matches(found[1], re.findall(r"[^\s',]+", found[2]), 1)
        if message.startswith(_UNKNOWN):
            given = message.removeprefix(_UNKNOWN).split()[0].partition("=")[0]
            return get_close_matches(given, self._option_string_actions, 1)
        return []


class _Version(argparse.Action):
    """Print the versions and exit."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,  # noqa: ARG002
        values: Any,  # noqa: ARG002
        option_string: str | None = None,  # noqa: ARG002
    ) -> None:
        print(versions())
        parser.exit()


def add_version(parser: argparse.ArgumentParser) -> None:
    """Add `--version`."""
    parser.add_argument("--version", action=_Version, nargs=0, help="print the versions and exit")


def versions() -> str:
    """The version of this program and of what it runs on; no library is imported."""
    others = [f"Python {platform.python_version()}"]
    for name in LIBRARIES:
        try:
            others.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            others.append(f"no {name}")
    return f"audiox {__version__} ({', '.join(others)})"


def program() -> str:
    """How this program was started."""
    return "audiox" if Path(sys.argv[0]).stem == "audiox" else "python -m audiox_core"
