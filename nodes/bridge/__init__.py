"""The only folder that touches ComfyUI's internals: core modules in, native objects out."""
