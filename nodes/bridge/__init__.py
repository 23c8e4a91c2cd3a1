"""The only rooms that touch ComfyUI's internals: core modules in, native objects out."""
