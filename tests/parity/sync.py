"""How each `sync_*` case is computed: Synchformer, its frames, the video conditioner with both."""
