"""What makes and measures the embedded model: its data, its evaluation, the benchmark."""
