"""Mathematics without weights: schedules, objectives, guidance, solvers, noise."""
