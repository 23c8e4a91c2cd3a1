"""Many requests, one after another or on several machines, with a record of what is done."""
