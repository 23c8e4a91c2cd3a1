"""Time and memory of the road, beside baselines that are measured in the same process."""
