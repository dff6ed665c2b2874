"""Where models come from beside storage: a Hugging Face hub and OCI registries."""
