"""The paper's masked training, on the modules of inference; nothing of generation imports it."""
