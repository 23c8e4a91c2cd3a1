"""Networks: weights in, tensors out. No files, no solvers."""
