"""Time and memory of every step of the pipeline, beside baselines in the same process."""
