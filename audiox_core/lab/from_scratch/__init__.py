"""Models from scratch: first weights, tokenizer, encoders that learn before the transformer."""
