"""Golden numbers: recorded inputs and outputs of every component, held against ours."""
