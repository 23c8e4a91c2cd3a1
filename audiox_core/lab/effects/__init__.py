"""Rendered training data of recorded sound effects: scenes of one or two sources, and captions.

Nothing is imported here: the classes in `labels` must not need the packages of the pictures.
"""
