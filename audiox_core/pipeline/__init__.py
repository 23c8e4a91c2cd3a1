"""From a request to a soundtrack: each step once, for every host."""
