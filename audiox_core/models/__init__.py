"""Networks: weights in, tensors out. No files, no solvers."""

from .dit import Context, DiT
from .mmdit import MMDiT, Modulations

Backbone = DiT | MMDiT  # both: `prepare(tokens, rows)` once a run, `forward(x, t, prepared)` a step
Prepared = Context | Modulations
