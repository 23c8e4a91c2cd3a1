"""AudioX in plain PyTorch."""
