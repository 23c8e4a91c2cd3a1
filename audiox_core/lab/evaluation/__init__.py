"""The evaluation of the embedded model: how well it follows text, video and audio."""
