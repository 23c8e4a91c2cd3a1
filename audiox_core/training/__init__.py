"""The paper's masked training on your own clips, with the modules of inference."""
