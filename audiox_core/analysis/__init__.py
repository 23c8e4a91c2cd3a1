"""Measures of finished sounds and pictures: spectra, onsets, motion, and a plot of them."""
