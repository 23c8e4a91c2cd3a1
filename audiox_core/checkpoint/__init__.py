"""A weights file -> which model it is -> modules with weights."""
