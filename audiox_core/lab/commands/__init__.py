"""The commands `demo` and `lab`, which the command line imports when they are asked for."""
