"""The fuzz campaign: damaged media and weights files that may only end in one clear line."""
