"""How well a small model follows what it is told, by numbers; nothing of generation imports it."""
