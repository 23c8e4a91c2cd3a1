"""Damaged files end in one clear line: about forty seconds of the campaign, with a fixed seed."""
