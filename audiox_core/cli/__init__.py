"""The command line: the same pipeline and errors as the Python interface. One file a command.

Exit codes: 0 done, 2 an error that the user can fix (one line on stderr), 130 stopped by Ctrl-C,
143 and 129 by SIGTERM and SIGHUP.
"""

import argparse
import logging
import os
import signal
import sys
import traceback
from collections.abc import Sequence
from contextlib import suppress
from typing import NoReturn

from tqdm import tqdm

from ..errors import AudioXError, is_out_of_memory, one_line
from .batch import add_batch
from .captions import add_captions
from .generate import add_generate
from .inspect import add_inspect
from .options import add_verbosity
from .parser import CommandParser, add_version, program, versions
from .train import add_train
from .weights import add_convert, add_fetch

logger = logging.getLogger(__name__)

COMMANDS = {
    "generate": (add_generate, "generate audio, or a video with audio"),
    "batch": (add_batch, "the same for many videos, images, sounds or prompts, resumable"),
    "fetch": (add_fetch, "download released weights into models/"),
    "inspect": (add_inspect, "report what a weights file is and whether it is complete"),
    "convert": (add_convert, "put a released model into one safetensors file"),
    "captions": (add_captions, "list the clips in a folder for training"),
    "train": (add_train, "train a model, or continue training"),
}
LAB = {  # commands of the lab, which is imported when one of them is asked for
    "demo": "add sound to a rendered clip, and to your own video, with the embedded model",
    "lab": "measure this machine, the code and the embedded model",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit code."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if "_ARGCOMPLETE" in os.environ:  # a shell asks what can come next
        _complete()
    parser, commands = build_parser(with_lab=bool(arguments) and arguments[0] in LAB)
    if not arguments:
        parser.print_help()
        return 0
    command = commands.get(arguments[0]) if len(arguments) == 1 else None
    if command is not None and not command.get_default("runs_alone"):
        command.print_help()
        return 0
    stopped, level = "Stopped; nothing was written.", logging.INFO
    _log_to_stderr(level)
    try:
        options = parser.parse_args(arguments)
        stopped = getattr(options, "stopped", stopped)
        level = getattr(options, "level", level)
        _log_to_stderr(level)
        logger.debug("%s: %s", versions(), " ".join(arguments))
        return options.run(options)
    except KeyboardInterrupt as error:  # of `__main__`, with the number of the signal
        message, code = stopped, 128 + (error.args or (signal.SIGINT,))[0]
    except Exception as error:
        message, code = _message(error), 2
        if message is None:
            raise
        if level == logging.DEBUG:
            traceback.print_exc()
    print(f"error: {message}", file=sys.stderr)
    return code


def _message(error: Exception) -> str | None:
    """What a user can do about an error, one line; None for an error of the program."""
    if isinstance(error, AudioXError):
        return str(error)
    if type(error).__name__ == "OutOfMemoryError":  # PyTorch's
        return (
            "The GPU is out of memory: try fewer --seconds or --device cpu, or --dtype float16 if "
            "you chose float32."
        )
    if is_out_of_memory(error):
        return (
            "There is not enough memory: try fewer --seconds or --dtype bfloat16, or close other "
            "programs."
        )
    if isinstance(error, FileExistsError):  # of the folders that are made where they are missing
        return one_line(f"{error.filename} is a file, not a folder: choose another --output.")
    if isinstance(error, OSError):
        return one_line(f"Operating system error: {error}.")
    return None


def build_parser(
    *, with_lab: bool = True
) -> tuple[argparse.ArgumentParser, dict[str, argparse.ArgumentParser]]:
    """The parser, and the parser of each command.

    Args:
        with_lab: with the options of the commands of `LAB`; False only lists them.
    """
    parser = CommandParser(
        prog=program(),
        description="AudioX: generate sound effects and music from text, video, images and audio.",
        epilog=f"The options of a command: {program()} COMMAND --help",
    )
    add_version(parser)
    commands = parser.add_subparsers(
        title="commands", metavar="COMMAND", parser_class=CommandParser
    )
    parsers: dict[str, argparse.ArgumentParser] = {}
    for name, (add_options, what) in COMMANDS.items():
        parsers[name] = commands.add_parser(name, help=what)
        add_options(parsers[name])
        add_verbosity(parsers[name])
    parsers |= {name: commands.add_parser(name, help=what) for name, what in LAB.items()}
    if with_lab:
        from ..lab.commands.demo import add_demo
        from ..lab.commands.lab import add_lab

        add_demo(parsers["demo"])
        for with_messages in (parsers["demo"], *add_lab(parsers["lab"])):
            add_verbosity(with_messages)
    return parser, parsers


class _AboveTheBar(logging.Handler):
    """Log lines that do not run into the progress bar."""

    def emit(self, record: logging.LogRecord) -> None:
        tqdm.write(one_line(self.format(record)), file=sys.stderr)


def _log_to_stderr(level: int) -> None:
    handler = _AboveTheBar()
    time = "%(asctime)s " if level == logging.DEBUG else ""
    handler.setFormatter(logging.Formatter(f"{time}%(levelname)s: %(message)s"))
    logger = logging.getLogger(str(__package__).rpartition(".")[0])  # the whole core's
    logger.handlers = [handler]
    logger.setLevel(level)


def _complete() -> NoReturn:
    """Answer the shell with completions, as the extra `completion` of the package does."""
    with suppress(ModuleNotFoundError):
        import argcomplete

        argcomplete.autocomplete(build_parser()[0])
    sys.exit(1)
