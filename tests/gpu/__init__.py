"""`python -m tests.gpu`: speed, memory and precision of the models at released size on one GPU."""
